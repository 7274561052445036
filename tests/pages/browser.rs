//! A real Chromium, driven by the protocol of WebDriver: as much of it as the tests here need, over plain HTTP.
//!
//! Every test has a browser of its own, with a profile in an empty folder, which is ended by its number when the test is
//! over. True here: a command that fails ends the test with what the driver said; whatever the browser complained of, and
//! whatever it asked the network for, can be read afterwards.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::chrome::Chrome;
use crate::common::eventually;

/// The name under which the protocol hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys that tests press.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// A phone's screen, and a desktop's.
pub(crate) const PHONE: (u32, u32) = (390, 844);
pub(crate) const DESKTOP: (u32, u32) = (1280, 800);

/// A browser with one window.
pub(crate) struct Browser {
    client: reqwest::Client,
    session: String,
    /// Ends with this.
    _chrome: Chrome,
}

/// An element of the page that is shown now.
#[derive(Debug, Clone)]
pub(crate) struct Element(String);

/// What the browser has to say of a page: complaints, and requests.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Errors and refusals of its console.
    pub(crate) complaints: Vec<String>,
    /// The addresses that it asked for.
    pub(crate) requests: Vec<String>,
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let mut chrome = Chrome::start();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build().unwrap();
        let answer = ask(client.post(chrome.url("/session")), &chrome.capabilities()).await;
        let id = answer["sessionId"].as_str().unwrap().to_owned();
        chrome.has(&id, answer["capabilities"]["goog:processID"].as_u64());
        let session = chrome.url(&format!("/session/{id}"));
        let browser = Self { client, session, _chrome: chrome };
        browser.post("/timeouts", json!({"script": 30_000, "pageLoad": 30_000, "implicit": 0})).await;
        browser.size(DESKTOP).await;
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        ask(self.client.post(format!("{}{path}", self.session)), &body).await
    }

    async fn get(&self, path: &str) -> Value {
        answered(self.client.get(format!("{}{path}", self.session)).send().await.unwrap(), path).await
    }

    /// Opens an address, and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", json!({"url": url})).await;
    }

    /// Where it is.
    pub(crate) async fn url(&self) -> String {
        self.get("/url").await.as_str().unwrap().to_owned()
    }

    /// Waits until it is at an address that ends so.
    pub(crate) async fn arrives(&self, end: &str) {
        eventually(&format!("the browser arrives at {end}"), || async {
            self.url().await.ends_with(end).then_some(())
        })
        .await;
    }

    /// The elements that a selector finds, which may be none.
    pub(crate) async fn all(&self, selector: &str) -> Vec<Element> {
        let found = self.post("/elements", json!({"using": "css selector", "value": selector})).await;
        let found = found.as_array().unwrap().iter();
        found.map(|element| Element(element[ELEMENT].as_str().unwrap().to_owned())).collect()
    }

    /// Waits for an element.
    pub(crate) async fn one(&self, selector: &str) -> Element {
        eventually(&format!("{selector} is there"), || async { self.all(selector).await.into_iter().next() })
            .await
    }

    /// Clicks on what a selector finds, as a person does: where it is seen.
    pub(crate) async fn click(&self, selector: &str) {
        eventually(&format!("{selector} can be clicked on"), || async {
            let element = self.one(selector).await;
            let request = self.client.post(format!("{}/element/{}/click", self.session, element.0));
            let answer = request.json(&json!({})).send().await.unwrap();
            // A page that lives may have put another one there just now.
            let gone = answer.status().as_u16() == 404;
            if !gone {
                answered(answer, selector).await;
            }
            (!gone).then_some(())
        })
        .await;
    }

    /// Types into a field, after what is there.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.one(selector).await;
        self.post(&format!("/element/{}/value", element.0), json!({"text": text})).await;
    }

    /// Chooses files, as in the dialogue that a file field opens.
    pub(crate) async fn choose(&self, selector: &str, files: &[&Path]) {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.type_into(selector, &names.join("\n")).await;
    }

    /// Takes what a field has, and types this.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.one(selector).await;
        self.post(&format!("/element/{}/clear", element.0), json!({})).await;
        self.type_into(selector, text).await;
    }

    /// Presses a key for whatever has the focus.
    pub(crate) async fn press(&self, key: &str) {
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]})).await;
    }

    /// The text of what a selector finds, as it is seen.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.one(selector).await;
        self.get(&format!("/element/{}/text", element.0)).await.as_str().unwrap().to_owned()
    }

    /// Waits until what a selector finds says this.
    pub(crate) async fn says(&self, selector: &str, what: &str) {
        eventually(&format!("{selector} says {what:?}"), || async {
            let script = "return [...document.querySelectorAll(arguments[0])].some(e => e.innerText.includes(arguments[1]))";
            (self.run(script, json!([selector, what])).await == true).then_some(())
        })
        .await;
    }

    /// Runs a script in the page; what it returns.
    pub(crate) async fn run(&self, script: &str, arguments: Value) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": arguments})).await
    }

    /// The same for one that waits; what the promise comes to.
    pub(crate) async fn wait_for(&self, script: &str, arguments: Value) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (...arguments) => {{ {script} }})(...arguments).then(
                 (value) => done({{ value }}), (error) => done({{ error: String(error && error.stack || error) }}));"
        );
        let mut answer = self.post("/execute/async", json!({"script": script, "args": arguments})).await;
        assert!(answer["error"].is_null(), "{}", answer["error"]);
        answer["value"].take()
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Makes the window so large.
    pub(crate) async fn size(&self, (width, height): (u32, u32)) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({"enabled": width < 600})).await;
    }

    /// What the system has for colours.
    pub(crate) async fn colours(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": value},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// Which language the browser asks for.
    pub(crate) async fn language(&self, tag: &str) {
        let agent = self.run("return navigator.userAgent", json!([])).await;
        let told = json!({"userAgent": agent, "acceptLanguage": tag});
        self.devtools("Emulation.setUserAgentOverride", told).await;
    }

    /// Whether pages may run scripts, from the next page on.
    pub(crate) async fn scripts(&self, allowed: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": !allowed})).await;
    }

    /// Has the cookie from now on, on the site where it is.
    pub(crate) async fn cookie(&self, name: &str, value: &str) {
        self.post("/cookie", json!({"cookie": {"name": name, "value": value, "path": "/"}})).await;
    }

    /// Has no cookies any more.
    pub(crate) async fn forget(&self) {
        let gone = self.client.delete(format!("{}/cookie", self.session)).send().await.unwrap();
        answered(gone, "/cookie").await;
    }

    /// A picture of what the window shows, in that form, made smaller by that scale.
    pub(crate) async fn picture(&self, (width, height): (u32, u32), format: &str, scale: f64) -> Vec<u8> {
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": scale});
        let asked = json!({"format": format, "clip": clip, "optimizeForSpeed": false});
        let shot = self.devtools("Page.captureScreenshot", asked).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// What was heard since the last time.
    pub(crate) async fn heard(&self) -> Heard {
        let console = self.post("/se/log", json!({"type": "browser"})).await;
        let network = self.post("/se/log", json!({"type": "performance"})).await;
        let complaints = console.as_array().unwrap().iter();
        let complaints = complaints.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        let messages = network.as_array().unwrap().iter();
        let messages = messages
            .map(|entry| serde_json::from_str::<Value>(entry["message"].as_str().unwrap()).unwrap())
            .filter(|message| message["message"]["method"] == "Network.requestWillBeSent");
        Heard {
            complaints: complaints.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect(),
            requests: messages
                .map(|message| message["message"]["params"]["request"]["url"].as_str().unwrap().to_owned())
                .collect(),
        }
    }
}

async fn ask(request: reqwest::RequestBuilder, body: &Value) -> Value {
    let answer = request.json(body).send().await.unwrap();
    let mut told = body.to_string();
    told.truncate(told.floor_char_boundary(300));
    answered(answer, &told).await
}

async fn answered(answer: reqwest::Response, asked: &str) -> Value {
    let (status, url) = (answer.status(), answer.url().path().to_owned());
    let mut body: Value = answer.json().await.unwrap();
    let value = body["value"].take();
    assert!(status.is_success(), "{url} {asked}: {} {}", value["error"], value["message"]);
    value
}
