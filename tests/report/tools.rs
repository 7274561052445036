//! The programs that judge, and a document on the disk for them to look at.

use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill::media::report::{ReportData, draw};
use serde_json::Value;

/// A program that has to be there.
pub(crate) fn tool(name: &str) -> Command {
    let there = Command::new(name).arg("--version").output().is_ok();
    assert!(there, "{name} is not here: install it, or run the tests with ./test, which does");
    Command::new(name)
}

/// A report on the disk.
pub(crate) struct Document {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Document {
    pub(crate) fn of(data: &ReportData) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = draw(data).unwrap();
        std::fs::write(folder.path().join("report.pdf"), &bytes).unwrap();
        Self { folder, bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("report.pdf")
    }

    /// What a program says of it.
    pub(crate) fn run(&self, name: &str, options: &[&str]) -> String {
        let mut command = tool(name);
        command.args(options).arg(self.path());
        if name == "pdftotext" {
            command.arg("-");
        }
        let ended = command.output().unwrap();
        let said =
            String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{name}: {said}");
        said
    }

    /// What copying all of it gives; a space that does not break counts as one.
    pub(crate) fn text(&self) -> String {
        self.run("pdftotext", &["-layout", "-enc", "UTF-8"]).replace('\u{a0}', " ")
    }

    /// The only picture in it, as it lies there.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let stem = self.folder.path().join("picture");
        let ended = tool("pdfimages").arg("-all").arg(self.path()).arg(&stem).status().unwrap();
        assert!(ended.success());
        std::fs::read(self.folder.path().join("picture-000.jpg")).unwrap()
    }

    /// A page as a picture, `<stem>.png`.
    pub(crate) fn render(&self, page: u32, stem: &Path) {
        let page = page.to_string();
        let options = ["-png", "-r", "84", "-singlefile", "-f", &page, "-l", &page];
        let ended = tool("pdftoppm").args(options).arg(self.path()).arg(stem).status().unwrap();
        assert!(ended.success());
    }

    /// Its objects, as qpdf has them.
    pub(crate) fn objects(&self) -> Value {
        let said = self.run("qpdf", &["--json=2", "--json-key=qpdf"]);
        let whole: Value = serde_json::from_str(&said).unwrap();
        whole["qpdf"][1].clone()
    }
}

fn referred<'a>(objects: &'a Value, reference: &Value) -> &'a Value {
    let name = format!("obj:{}", reference.as_str().unwrap());
    &objects[&name]["value"]
}

/// The root of a document.
pub(crate) fn catalog(objects: &Value) -> &Value {
    referred(objects, &objects["trailer"]["value"]["/Root"])
}

/// The titles of its outline, in order.
pub(crate) fn outline(objects: &Value) -> Vec<String> {
    let mut titles = Vec::new();
    let root = referred(objects, &catalog(objects)["/Outlines"]);
    let mut next = root["/First"].clone();
    while next.is_string() {
        let line = referred(objects, &next);
        titles.push(line["/Title"].as_str().unwrap().trim_start_matches("u:").to_owned());
        next = line["/Next"].clone();
    }
    titles
}
