//! A service that keeps the rules of the Open Trivia Database, and breaks them where a test says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const ONE: &[(&str, &str)] = &[("provider", "opentdb")];

/// The service: so many questions, of which a token gets each once; one request in five seconds.
struct Trivia {
    questions: usize,
    /// Which questions each token got; a token is its place.
    tokens: Vec<HashSet<usize>>,
    last: Option<Instant>,
    /// How often it was asked too soon.
    hurried: usize,
}

impl Trivia {
    fn script(questions: usize) -> (Arc<Script>, Arc<Mutex<Self>>) {
        let service = Self { questions, tokens: Vec::new(), last: None, hurried: 0 };
        let service = Arc::new(Mutex::new(service));
        let asked = Arc::clone(&service);
        (Script::new(move |url, _| asked.lock().unwrap().answer(url)), service)
    }

    fn answer(&mut self, url: &Url) -> Result<Response, Trouble> {
        let now = now();
        let too_soon = self.last.is_some_and(|last| now.duration_since(last) < SECOND * 5);
        self.last = Some(now);
        if too_soon {
            self.hurried += 1;
            return code(5);
        }
        let value = |wanted: &str| {
            url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        let token = value("token").and_then(|token| token.strip_prefix("token-")?.parse::<usize>().ok());
        match (url.path(), value("command").as_deref()) {
            ("/api_token.php", Some("request")) => {
                self.tokens.push(HashSet::new());
                let token = format!("token-{}", self.tokens.len() - 1);
                json_answer(&json!({"response_code": 0, "response_message": "ok", "token": token}))
            }
            ("/api_token.php", Some("reset")) => match token.and_then(|token| self.tokens.get_mut(token)) {
                Some(given) => {
                    given.clear();
                    json_answer(&json!({"response_code": 0, "token": value("token")}))
                }
                None => code(3),
            },
            ("/api.php", None) => {
                assert_eq!(value("encode").as_deref(), Some("base64"));
                let amount: usize = value("amount").unwrap().parse().unwrap();
                assert!((1..=50).contains(&amount));
                let Some(given) = token.and_then(|token| self.tokens.get_mut(token)) else { return code(3) };
                if self.questions < amount {
                    return code(1);
                }
                let left: Vec<usize> = (0..self.questions).filter(|one| !given.contains(one)).collect();
                if left.len() < amount {
                    return code(4);
                }
                given.extend(&left[..amount]);
                trivia(&left[..amount])
            }
            (path, command) => panic!("{path} {command:?} is no address of the service"),
        }
    }
}

fn code(code: i64) -> Result<Response, Trouble> {
    json_answer(&json!({"response_code": code, "results": []}))
}

fn trivia(numbers: &[usize]) -> Result<Response, Trouble> {
    let text = |text: &str| STANDARD.encode(text);
    let item = |number: &usize| {
        json!({
            "type": text("multiple"), "difficulty": text("easy"), "category": text("Numbers"),
            "question": text(&format!("Which number is {number}?")), "correct_answer": text(&number.to_string()),
            "incorrect_answers": [text("none"), text("all")],
        })
    };
    let items: Vec<Value> = numbers.iter().map(item).collect();
    json_answer(&json!({"response_code": 0, "results": items}))
}

/// One that answers the first request for a token well, and then as the test says.
fn after_a_token(answer: impl Fn(usize) -> Result<Response, Trouble> + Send + Sync + 'static) -> Arc<Script> {
    Script::new(move |url, place| {
        if url.path() == "/api_token.php" && place == 0 {
            return json_answer(&json!({"response_code": 0, "token": "first"}));
        }
        answer(place)
    })
}

/// How many questions were asked for, request by request.
fn amounts(script: &Script) -> Vec<String> {
    let urls = script.urls();
    let amounts = urls.iter().filter_map(|url| url.split_once("amount=")?.1.split('&').next());
    amounts.map(str::to_owned).collect()
}

async fn one(quiz: &Quiz, wanted: u32) -> (Result<u32, (u32, Ended)>, Vec<SourceReport>) {
    let mut round = quiz.round();
    let done = gather(&mut round, wanted, &Saved::default()).await;
    (done, round.report())
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_no_request_comes_too_soon() {
    let (script, service) = Trivia::script(500);
    let (quiz, saved) = (quiz(&script, ONE), Saved::default());
    for _ in 0..3 {
        // More than one request gives.
        let mut round = quiz.round();
        assert_eq!(gather(&mut round, 60, &saved).await.unwrap(), 60);
        assert_eq!(round.report()[0].known, 0, "a token gives nothing twice");
    }
    let urls = script.urls();
    assert_eq!(urls[0], "https://opentdb.com/api_token.php?command=request");
    assert_eq!(urls[1], "https://opentdb.com/api.php?amount=50&encode=base64&token=token-0");
    assert_eq!(urls.iter().filter(|url| url.contains("api_token.php")).count(), 1);
    assert_eq!(service.lock().unwrap().hurried, 0);
    assert!(script.gaps().iter().all(|gap| *gap >= Duration::from_millis(5100)), "{:?}", script.gaps());
}

#[tokio::test]
async fn the_last_questions_of_a_token_are_found_by_halves() {
    let (script, _) = Trivia::script(70);
    let quiz = quiz(&script, &[("provider", "opentdb"), ("time_s", "600")]);
    let (done, report) = one(&quiz, 70).await;
    assert_eq!(done.unwrap(), 70, "{report:?}");
    assert_eq!(report[0].known, 0);
    assert_eq!(amounts(&script), ["50", "27", "13", "10", "5", "4", "2"]);
    assert!(!script.urls().iter().any(|url| url.contains("command=reset")));
}

#[tokio::test]
async fn a_token_that_has_nothing_left_is_reset_and_gives_the_same_again() {
    let (script, _) = Trivia::script(4);
    let (quiz, saved) = (quiz(&script, &[("provider", "opentdb"), ("time_s", "3600")]), Saved::default());
    let mut round = quiz.round();
    let (got, ended) = gather(&mut round, 5, &saved).await.unwrap_err();
    assert_eq!((got, ended.late), (4, false), "{}", ended.story);
    assert!(
        script.urls().iter().any(|url| url.ends_with("command=reset&token=token-0")),
        "{:?}",
        script.urls()
    );
    assert!(ended.story.contains("opentdb: it"), "{}", ended.story);
    assert!(round.report()[0].requests <= 30, "{}", ended.story);
}

#[tokio::test]
async fn a_service_without_one_question_ends_the_round_by_its_own_word() {
    let (script, _) = Trivia::script(0);
    let quiz = quiz(&script, &[("provider", "opentdb"), ("time_s", "600")]);
    let (_, ended) = one(&quiz, 8).await.0.unwrap_err();
    assert!(ended.story.contains("opentdb: it has no more"), "{}", ended.story);
    assert_eq!(amounts(&script), ["12", "6", "3", "1"]);
}

#[tokio::test]
async fn a_token_that_stays_empty_is_reset_once() {
    let script = Script::new(|url, _| match url.path() {
        "/api_token.php" => json_answer(&json!({"response_code": 0, "token": "first"})),
        _ => code(4),
    });
    let (_, ended) = one(&quiz(&script, ONE), 1).await.0.unwrap_err();
    assert!(ended.story.contains("opentdb: it has no more"), "{}", ended.story);
    let resets = script.urls().iter().filter(|url| url.contains("command=reset")).count();
    assert_eq!(resets, 1, "{:?}", script.urls());
}

#[tokio::test]
async fn a_token_that_the_service_forgot_is_renewed() {
    let (script, service) = Trivia::script(500);
    let quiz = quiz(&script, ONE);
    one(&quiz, 50).await.0.unwrap();
    service.lock().unwrap().tokens.clear();
    assert_eq!(one(&quiz, 50).await.0.unwrap(), 50);
    let tokens = script.urls().iter().filter(|url| url.contains("command=request")).count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn tokens_that_are_never_known_are_trouble_and_no_loop() {
    let script = Script::new(|url, place| match url.path() {
        "/api_token.php" => json_answer(&json!({"response_code": 0, "token": format!("t{place}")})),
        _ => code(3),
    });
    let (_, ended) = one(&quiz(&script, ONE), 5).await.0.unwrap_err();
    assert!(ended.story.contains("does not know the token that it gave a moment ago"), "{}", ended.story);
    assert_eq!(script.requests(), 4);
}

#[tokio::test]
async fn no_token_is_trouble() {
    let long = "t".repeat(201);
    for answer in [
        json!({"response_code": 0}),
        json!({"response_code": 0, "token": ""}),
        json!({"response_code": 0, "token": long}),
        json!({"response_code": "A".repeat(1 << 19), "token": "t"}),
        json!([]),
    ] {
        let script = Script::new(move |_, _| json_answer(&answer));
        let (_, ended) = one(&quiz(&script, ONE), 5).await.0.unwrap_err();
        assert!(ended.story.contains("opentdb: it gave no questions"), "{}", ended.story);
        assert!(ended.story.len() < 500, "{} bytes", ended.story.len());
        assert_eq!(script.requests(), 1);
    }
}

#[tokio::test]
async fn codes_that_blame_the_request_or_that_nobody_knows_are_trouble() {
    for (number, told) in
        [(2, "finds the request wrong (code 2)"), (6, "its code 6 is none"), (-1, "its code -1 is none")]
    {
        let script = after_a_token(move |_| code(number));
        let (_, ended) = one(&quiz(&script, ONE), 5).await.0.unwrap_err();
        assert!(ended.story.contains(told), "{}", ended.story);
        assert_eq!(script.requests(), 2);
    }
}

#[tokio::test]
async fn a_limit_on_requests_is_waited_for_whatever_status_it_comes_with() {
    for with_status in [200, 429] {
        let script = after_a_token(move |place| match place {
            1 | 2 => code(5).map(|answer| Response { status: with_status, ..answer }),
            _ => trivia(&[1, 2, 3]),
        });
        let (done, report) = one(&quiz(&script, ONE), 2).await;
        assert_eq!(done.unwrap(), 2);
        assert_eq!(report[0].trouble.as_deref(), Some("wants to be asked less often"));
        let gaps = script.gaps();
        assert!(
            gaps[1] >= Duration::from_millis(5100) && gaps[2] >= Duration::from_millis(10_200),
            "{gaps:?}"
        );
    }
}

#[tokio::test]
async fn many_rounds_share_one_token_and_its_pace() {
    let (script, service) = Trivia::script(1000);
    let (quiz, saved) = (quiz(&script, ONE), Arc::new(Saved::default()));
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut round, saved) = (quiz.round(), Arc::clone(&saved));
        under_way.spawn(async move { gather(&mut round, 5, &saved).await });
    }
    let done = under_way.join_all().await;
    assert!(done.iter().all(|got| matches!(got, Ok(5))), "{done:?}");
    let service = service.lock().unwrap();
    assert_eq!((service.hurried, service.tokens.len()), (0, 1));
    // The token, what the first asked for, and twice fifty for the others.
    assert_eq!(script.requests(), 4, "{:?}", script.urls());
}
