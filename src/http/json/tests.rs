//! Bodies as programs write them, and as nobody should.

use super::*;

fn code_of(body: &[u8]) -> Code {
    match object(body, &["a"]) {
        Ok(form) => match refuse(form.faults()) {
            Ok(()) => panic!("{} was taken", String::from_utf8_lossy(body)),
            Err(problem) => problem.code(),
        },
        Err(problem) => problem.code(),
    }
}

#[test]
fn what_is_no_json_is_told_from_what_is_another_json() {
    let deep = [b"{\"a\":".as_slice(), &[b'['; 200], &[b']'; 200], b"}"].concat();
    let bomb = vec![b'['; 1 << 20];
    for bad in [
        &b"{"[..],
        b"{\"a\":1}x",
        b"{\"a\":NaN}",
        b"{\"a\":1,}",
        b"\xEF\xBB\xBF{}",
        b"{\"a\":\"\xff\"}",
        b"nul",
        b" ",
        b"{\"a\":01}",
        b"{'a':1}",
        &deep,
        &bomb,
    ] {
        assert_eq!(code_of(bad), Code::InvalidJson, "{}", String::from_utf8_lossy(&bad[..bad.len().min(40)]));
    }
    for other in [&b"[]"[..], b"1", b"\"a\"", b"null", b"true", b"{\"b\":1}", b"{\"a\":1,\"a\":2}"] {
        assert_eq!(code_of(other), Code::InvalidBody, "{}", String::from_utf8_lossy(other));
    }
}

#[test]
fn a_depth_of_128_is_taken_and_brackets_in_texts_do_not_count() {
    let body = |inner: usize| {
        format!(
            "{{\"a\":{}{}{}}}",
            "[".repeat(inner),
            format_args!("\"{}\\\"\"", "[".repeat(500)),
            "]".repeat(inner)
        )
    };
    assert!(object(body(127).as_bytes(), &["a"]).is_ok());
    assert!(object(body(128).as_bytes(), &["a"]).is_err());
}

#[test]
fn each_fault_names_its_place_and_what_was_expected() {
    let body = br#"[{"n":1},{"n":1e3,"t":5,"x/y~z":1},{"n":99999999999999999999999}]"#;
    let mut faults = Vec::new();
    for mut form in array(body, 10, &["n", "t"]).unwrap() {
        form.whole("n", (1, 9));
        form.text("t");
        faults.extend(form.faults());
    }
    let told: Vec<(&str, &str)> =
        faults.iter().map(|f| (f.pointer.as_deref().unwrap(), f.problem.as_str())).collect();
    assert_eq!(
        told,
        [
            ("/1/x~1y~0z", "there is no such field; there are: n, t"),
            ("/1/n", "expected a whole number from 1 to 9, got 1e3"),
            ("/1/t", "expected text, got a number"),
            ("/2/n", "expected a whole number from 1 to 9, got 99999999999999999999999"),
        ]
    );
}
