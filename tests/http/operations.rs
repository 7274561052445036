//! What programs ask about the daemon itself, and what is the same on every route.

use std::collections::BTreeSet;

use gristmill::http::{Code, page_table, table};
use gristmill::telemetry::{Importance, Phase};
use serde_json::{Value, json};

use crate::harness::{Wishes, start};

#[tokio::test]
async fn the_document_and_the_table_of_routes_hold_the_same() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            told.insert((method.to_uppercase(), path.clone()));
        }
    }
    let served: BTreeSet<(String, String)> =
        table().iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(told, served);
}

#[tokio::test]
async fn the_document_tells_every_parameter_body_and_problem() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    for route in table() {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let name = format!("{} {}", route.method, route.path);
        for code in &route.problems {
            let answer = &operation["responses"][code.status().as_u16().to_string()];
            let examples = &answer["content"]["application/problem+json"]["examples"];
            let example = at(&document, &examples[code.as_str()]);
            assert_eq!(example["value"]["code"], code.as_str(), "{name} {code:?}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
        }
        assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{name}");
        let takes_body = route.problems.contains(&Code::UnsupportedMediaType)
            && !["cancel", "retry", "tasks/delete", "pause", "resume", "/gc"]
                .iter()
                .any(|action| route.path.ends_with(action));
        assert_eq!(operation["requestBody"].is_object(), takes_body, "{name}");
        // The query's parameters are those that the route names when it refuses one.
        let path = route.path.replace("{kind}", "noop").replace("{id}", "1");
        let path = path.replace("{name}", "AAAAAAAAAAAAAAAAAAAAAA.png");
        let problem = daemon.ask(route.method, &format!("{path}?bogus=1"), |request| request).await;
        let problem = problem.problem(Code::InvalidParameter);
        let allowed: BTreeSet<&str> =
            problem["allowed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let documented: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(documented, allowed, "{name}");
        let in_path = route.path.matches('{').count();
        let told =
            operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path").count();
        assert_eq!(told, in_path, "{name}");
    }
    let ids: BTreeSet<&str> =
        operations(&document).map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), table().len(), "an operation's id stands once");
}

/// What a reference leads to, or the thing itself.
fn at<'a>(document: &'a Value, thing: &'a Value) -> &'a Value {
    match thing["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => thing,
    }
}

/// The bodies of requests, or of answers.
fn bodies(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of["content"].as_object().into_iter().flatten()
}

#[tokio::test]
async fn nothing_in_the_document_is_without_words_or_an_example() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    let said = |thing: &Value| {
        at(&document, thing)["description"].as_str().is_some_and(|text| text.len() > 3 && text != "null")
    };
    let shown = |body: &Value| {
        let schema = &body["schema"];
        let one = at(&document, if schema["items"].is_null() { schema } else { &schema["items"] });
        [body, one, at(&document, &one["oneOf"][0])]
            .iter()
            .any(|thing| !thing["example"].is_null() || !thing["examples"].is_null())
    };
    let sections: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert!(document["tags"].as_array().unwrap().iter().all(said));
    assert_eq!(document["servers"][0]["url"], "/");
    let mut used = BTreeSet::new();
    for operation in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        let summary = operation["summary"].as_str().unwrap();
        assert!(!summary.is_empty() && summary.len() < 120 && !summary.ends_with('.'), "{name}: {summary}");
        used.extend(operation["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()));
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(said(parameter), "{name}: {parameter}");
        }
        let request = &operation["requestBody"];
        assert!(request.is_null() || said(request), "{name}: the body");
        for (form, body) in bodies(request).filter(|(form, _)| form.contains("json")) {
            assert!(shown(body), "{name} takes {form} without an example");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            for (header, told) in answer["headers"].as_object().unwrap() {
                let header_name = format!("{name} {status} {header}");
                assert!(said(told), "{header_name}");
                assert!(!at(&document, told)["example"].is_null(), "{header_name} has no example");
            }
            let texts = |form: &str| form.contains("json") || form.starts_with("text/");
            for (form, body) in bodies(answer).filter(|(form, _)| texts(form)) {
                assert!(shown(body), "{name} {status} answers {form} without an example");
            }
        }
    }
    assert_eq!(used, sections, "each section has operations, and each operation a section that is described");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let own = schema["properties"].as_object().into_iter().flatten();
        let taken = schema["allOf"].as_array().into_iter().flatten();
        let taken = taken.filter_map(|part| part["properties"].as_object()).flatten();
        for (field, property) in own.chain(taken) {
            let elsewhere = property["$ref"].is_string() || property["oneOf"].is_array();
            assert!(elsewhere || said(property), "{name}.{field}");
        }
    }
}

#[tokio::test]
async fn the_headers_that_the_document_tells_are_those_that_answers_have() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    let told = |path: &str, method: &str, status: u16| {
        let answer = &document["paths"][path][method]["responses"][status.to_string()];
        answer["headers"].as_object().unwrap_or_else(|| panic!("{method} {path} {status}")).clone()
    };
    let ann = daemon.someone("Ann").await;
    let (path, json) = ("/tasks", "application/json");
    let made = daemon.ask("POST", path, |request| {
        request.header("prefer", "wait=20").header("content-type", json).bearer_auth(&ann.token).body("{}")
    });
    let made = made.await;
    let page = daemon.get("/tasks?limit=1").await;
    let bare = daemon.ask("GET", "/tasks", |request| request.bearer_auth("no token")).await;
    for (answer, method) in [(&made, "post"), (&page, "get"), (&bare, "get")] {
        let told = told(path, method, answer.status);
        for name in ["location", "preference-applied", "www-authenticate", "x-request-id", "retry-after"] {
            assert!(told.contains_key(name) || answer.header(name).is_empty(), "{name} {told:?}");
        }
    }
    assert!(made.header("preference-applied").starts_with("wait"));
    assert!(told(path, "post", 503).contains_key("retry-after"));
    assert!(told("/images/{name}", "get", 416).contains_key("content-range"));
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_fields_of_a_task_are_those_that_the_document_tells() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    let documented: BTreeSet<&String> =
        document["components"]["schemas"]["Task"]["properties"].as_object().unwrap().keys().collect();
    let body = r#"{"kind":"failing","payload":{"because":"x"},"tags":["a"],"timeout_s":5}"#;
    let failed = daemon.post("/tasks", body).await.json(201);
    let failed = daemon.until(failed["id"].as_i64().unwrap(), "Failed").await;
    for field in failed.as_object().unwrap().keys() {
        assert!(documented.contains(field), "{field}");
    }
    let body = r#"{"meta":1,"unique_key":"k","callback_url":"https://example.com/"}"#;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let made = daemon.ask("POST", "/tasks", |request| {
        request.header("traceparent", trace).header("content-type", "application/json").body(body)
    });
    let id = made.await.json(201)["id"].clone();
    daemon.post("/tasks/claim", &format!("{{\"id\":{id}}}")).await.json(200);
    let taken = daemon.get(&format!("/tasks/{id}")).await.json(200);
    for field in
        ["meta", "unique_key", "callback_url", "callback", "traceparent", "worker", "lease_until", "attempt"]
    {
        assert!(taken.get(field).is_some(), "{field} is not in {taken}");
    }
    for field in taken.as_object().unwrap().keys() {
        assert!(documented.contains(field), "{field}");
    }
    for always in document["components"]["schemas"]["Task"]["required"].as_array().unwrap() {
        assert!(failed.get(always.as_str().unwrap()).is_some(), "{always}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_told_and_a_wrong_method_with_those_that_are() {
    let daemon = start(Wishes::default()).await;
    for path in
        ["/nothing", "/tasks/", "/tasks/1/nothing", "/TASKS", "//tasks", "/tasks/1/cancel/", "/%00", "/ж"]
    {
        for method in ["GET", "POST", "DELETE", "HEAD", "BREW"] {
            let answer = daemon.ask(method, path, |request| request).await;
            if method == "HEAD" {
                assert_eq!((answer.status, answer.body.len()), (404, 0));
            } else {
                answer.problem(Code::NotFound);
            }
        }
    }
    let routes = table();
    for route in &routes {
        let mut allowed: BTreeSet<&str> =
            routes.iter().filter(|other| other.path == route.path).map(|other| other.method).collect();
        // A `GET` that takes something is not to be tried out by a `HEAD`.
        if allowed.contains("GET") && route.path != "/take_free_task" {
            allowed.insert("HEAD");
        }
        allowed
            .extend(page_table().iter().filter(|(_, path)| *path == route.path).map(|(method, _)| *method));
        let path = route.path.replace("{kind}", "noop").replace("{id}", "1");
        let path = path.replace("{name}", "AAAAAAAAAAAAAAAAAAAAAA.png");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if allowed.contains(method) {
                continue;
            }
            let answer = daemon.ask(method, &path, |request| request).await;
            let problem = answer.problem(Code::MethodNotAllowed);
            let told: BTreeSet<&str> = answer.header("allow").split(", ").collect();
            assert_eq!(told, allowed, "{method} {path}");
            assert_eq!(problem["allowed"].as_array().unwrap().len(), allowed.len());
        }
    }
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let daemon = start(Wishes::default()).await;
    let mut seen = BTreeSet::new();
    for path in ["/health/live", "/tasks", "/nothing", "/tasks/0", "/metrics", "/record"] {
        let own = daemon.get(path).await;
        assert!(seen.insert(own.header("x-request-id").to_owned()), "an id of its own");
        assert!(own.header("x-request-id").len() >= 16);
        let sent = daemon.ask("GET", path, |request| request.header("x-request-id", "abc-123.x:y/z")).await;
        assert_eq!(sent.header("x-request-id"), "abc-123.x:y/z");
        for bad in ["a b", "<script>", "a\"b", &"x".repeat(129), ""] {
            let sent = daemon.ask("GET", path, |request| request.header("x-request-id", bad)).await;
            assert_ne!(sent.header("x-request-id"), bad);
        }
    }
    let wrong = daemon.ask("PUT", "/tasks", |request| request.header("x-request-id", "mine")).await;
    assert_eq!(wrong.problem(Code::MethodNotAllowed)["instance"], "urn:request:mine");
}

#[tokio::test]
async fn a_browser_gets_a_page_in_which_everything_is_escaped() {
    let daemon = start(Wishes::default()).await;
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (method, path, status) in [
        ("GET", "/%3Cscript%3Ealert(1)%3C/script%3E", 404),
        ("GET", "/tasks?%3Cb%3E=1", 400),
        ("GET", "/tasks/%3Cimg%20src=x%3E", 400),
        ("PUT", "/tasks", 405),
    ] {
        let page = daemon.ask(method, path, |request| request.header("accept", accept)).await;
        assert_eq!((page.status, page.header("content-type")), (status, "text/html; charset=utf-8"));
        let text = page.text();
        for tag in ["<script>", "<b>", "<img"] {
            assert!(!text.contains(tag), "{text}");
        }
        assert!(text.contains(page.header("x-request-id")), "{text}");
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
    }
    let program = daemon.ask("GET", "/nothing", |request| request.header("accept", "application/json")).await;
    program.problem(Code::NotFound);
}

#[tokio::test]
async fn health_tells_what_the_board_shows() {
    let daemon = start(Wishes::default()).await;
    assert_eq!(daemon.get("/health/live").await.json(200)["status"], "live");
    assert_eq!(daemon.get("/health/ready").await.json(200)["ready"], true);
    daemon.health.register("database", Importance::Required);
    let waiting = daemon.get("/health/ready").await;
    assert_eq!(waiting.json(503)["components"]["database"]["state"], "starting");
    assert_eq!(waiting.header("retry-after"), "1");
    daemon.health.up("database");
    daemon.get("/health/ready").await.json(200);
    daemon.health.set_phase(Phase::Draining);
    assert_eq!(daemon.get("/health/ready").await.json(503)["phase"], "draining");
    assert_eq!(daemon.get("/health/live").await.json(200)["status"], "live");
}

#[tokio::test]
async fn requests_are_measured_by_route_method_and_class() {
    let daemon = start(Wishes::default()).await;
    daemon.post("/tasks", "").await.json(201);
    daemon.get("/tasks/999999").await.problem(Code::TaskNotFound);
    daemon.get("/no/such/path").await.problem(Code::NotFound);
    let page = daemon.get("/metrics").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let text = page.text();
    for series in [
        "gristmill_http_requests_total{route=\"/tasks\",method=\"POST\",status=\"2xx\"} ",
        "gristmill_http_requests_total{route=\"/tasks/{id}\",method=\"GET\",status=\"4xx\"} ",
        "gristmill_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"4xx\"} ",
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
    assert!(!text.contains("/no/such/path"), "a path is no label");
}

#[tokio::test]
async fn the_document_tells_what_the_forms_refuse() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    let schemas = &document["components"]["schemas"];
    let forms = [
        "NewTask",
        "NewUser",
        "NewRecording",
        "Claim",
        "Heartbeat",
        "Progress",
        "Complete",
        "Fail",
        "Release",
    ];
    for form in forms.into_iter().chain(["UserChange", "NewToken", "Login"]) {
        assert_eq!(schemas[form]["additionalProperties"], false, "{form}");
    }
    let user = &schemas["NewUser"];
    assert_eq!(
        (&user["if"]["not"]["required"][0], &user["then"]["required"][0]),
        (&json!("name"), &json!("email"))
    );
    let task = &schemas["NewTask"]["properties"];
    assert_eq!(task["tags"]["items"]["minLength"], 1);
    assert!(task["payload"]["description"].as_str().unwrap().contains("256 KiB"), "{}", task["payload"]);
    let list = document["paths"]["/tasks"]["get"]["parameters"].as_array().unwrap();
    let tag = list.iter().find(|parameter| parameter["name"] == "tag").unwrap();
    assert_eq!(tag["schema"]["minLength"], 1, "{tag}");
}

#[tokio::test]
async fn the_document_tells_of_every_write_that_a_key_makes_it_count_once() {
    let daemon = start(Wishes::default()).await;
    let document = daemon.get("/openapi.json").await.json(200);
    let mut keyed = 0;
    for route in table() {
        let operation = &document["paths"][route.path][route.method.to_lowercase()];
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let told = parameters.filter(|parameter| parameter["name"] == "Idempotency-Key").count();
        let writes = route.problems.contains(&Code::KeyReused);
        assert_eq!(told, usize::from(writes), "{route:?}");
        // A session is a secret, which is not remembered; and what is over twice is over.
        let keyless = route.method == "GET" || matches!(route.path, "/login" | "/logout" | "/gc");
        assert!(writes || keyless, "{route:?} writes without a key");
        keyed += told;
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let told = answer["headers"]["idempotent-replayed"].is_object();
            assert_eq!(told, writes && status.starts_with('2'), "{route:?} {status}");
        }
    }
    assert!(keyed > 10, "{keyed}");
    let claim = &document["components"]["schemas"]["Claim"];
    assert_eq!(claim["if"], json!({"required": ["kinds"]}));
    assert_eq!(claim["then"], json!({"not": {"required": ["id"]}}));
    assert_eq!(claim["else"], json!({"required": ["id"]}));
}

#[tokio::test]
async fn who_takes_json_and_html_alike_gets_json_and_a_browser_gets_the_page() {
    let daemon = start(Wishes::default()).await;
    for (accept, media_type) in [
        ("application/json, text/html", "application/problem+json"),
        ("text/html;q=0.5, */*;q=0.5", "application/problem+json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
    ] {
        let answer = daemon.ask("GET", "/nothing", |request| request.header("accept", accept)).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, media_type), "{accept}");
    }
}
