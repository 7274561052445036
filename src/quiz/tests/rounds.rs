//! One round at a time, and a service that speaks as jservice did.

use super::*;

const ONE: &[(&str, &str)] = &[("provider", "jservice")];
const WITH_BANK: &[(&str, &str)] = &[("provider", "jservice, bank")];

/// One round that wants so many, and what it told.
async fn one(quiz: &Quiz, wanted: u32, saved: &Saved) -> (Result<u32, (u32, Ended)>, Vec<SourceReport>) {
    let mut round = quiz.round();
    let done = gather(&mut round, wanted, saved).await;
    (done, round.report())
}

#[tokio::test]
async fn what_is_wanted_comes_by_one_request_with_some_to_spare() {
    let script = Script::new(|url, _| clues(0..count_of(url)));
    let (done, report) = one(&quiz(&script, ONE), 10, &Saved::default()).await;
    assert_eq!(done.unwrap(), 10);
    assert_eq!(script.urls(), ["https://jservice.io/api/random?count=14"]);
    assert_eq!((report[0].requests, report[0].drawn, report[0].new, report[0].known), (1, 10, 10, 0));
    assert_eq!(report[0].trouble, None);
}

#[tokio::test]
async fn a_service_that_gives_fewer_than_asked_is_asked_again_at_its_pace() {
    let script = Script::new(|_, place| clues([place]));
    let (done, report) = one(&quiz(&script, ONE), 8, &Saved::default()).await;
    assert_eq!(done.unwrap(), 8);
    assert_eq!((script.requests(), report[0].requests), (8, 8));
    assert!(script.gaps().iter().all(|gap| *gap >= SECOND && *gap < SECOND * 2), "{:?}", script.gaps());
}

#[tokio::test]
async fn a_service_with_nothing_but_what_is_known_ends_the_round_after_a_few_draws() {
    let script = Script::new(|_, _| clues(0..3));
    let (quiz, saved) = (quiz(&script, ONE), Saved::default());
    one(&quiz, 3, &saved).await.0.unwrap();
    let before = script.requests();
    let (done, report) = one(&quiz, 10, &saved).await;
    let (got, ended) = done.unwrap_err();
    assert_eq!((got, ended.late), (0, false));
    assert!(ended.story.contains("jservice: it brought nothing new 5 times in a row"), "{}", ended.story);
    assert_eq!(script.requests() - before, 5);
    assert_eq!((report[0].requests, report[0].new, report[0].known), (5, 0, 15));
}

#[tokio::test]
async fn a_service_with_fewer_than_wanted_gives_what_it_has() {
    let script = Script::new(|_, place| clues((0..3).map(|clue| (clue + place) % 3)));
    let (done, report) = one(&quiz(&script, ONE), 10, &Saved::default()).await;
    let (got, ended) = done.unwrap_err();
    assert_eq!(got, 3, "{}", ended.story);
    assert_eq!(report[0].requests, 6);
    // Once nothing was new, it is asked for as many as it may give.
    assert_eq!(count_of(&script.heard.lock().unwrap()[5].1), 100);
}

#[tokio::test]
async fn answers_without_one_usable_clue_end_the_round_too() {
    let script = Script::new(|_, _| {
        json_answer(&json!([{"question": "", "answer": "x"}, null, {"question": "=", "answer": "x"}]))
    });
    let (done, report) = one(&quiz(&script, ONE), 2, &Saved::default()).await;
    let (_, ended) = done.unwrap_err();
    assert_eq!(script.requests(), 5);
    assert_eq!(
        report[0].rejected,
        [("empty", 5), ("malformed", 5), ("media", 5)].map(|(name, count)| (name.to_owned(), count)).into()
    );
    assert!(ended.story.contains("rejected 5 empty, 5 malformed, 5 media"), "{}", ended.story);
}

#[tokio::test]
async fn the_more_is_known_the_more_is_asked_for() {
    // Every fourth is new.
    let next = AtomicUsize::new(0);
    let script = Script::new(move |url, _| {
        clues(
            (0..count_of(url))
                .map(|place| if place % 4 == 0 { next.fetch_add(1, Ordering::SeqCst) } else { 1 << 20 }),
        )
    });
    let saved = Saved::default();
    let quiz = quiz(&script, ONE);
    one(&quiz, 1, &saved).await.0.unwrap();
    let (done, report) = one(&quiz, 20, &saved).await;
    assert_eq!(done.unwrap(), 20);
    assert!(report[0].requests <= 4, "{report:?}");
    assert!(count_of(&script.heard.lock().unwrap().last().unwrap().1) > 20);
}

#[tokio::test]
async fn a_round_makes_no_more_requests_than_it_may() {
    // Every second answer brings nothing new; those that do cost nothing.
    let script = Script::new(|_, place| clues([place / 2]));
    let quiz = quiz(&script, &[("provider", "jservice"), ("requests", "4")]);
    let (got, ended) = one(&quiz, 10, &Saved::default()).await.0.unwrap_err();
    assert_eq!((got, script.requests(), ended.late), (4, 8, false));
    assert!(ended.story.contains("8 times, which is the most for one try"), "{}", ended.story);
}

#[tokio::test]
async fn a_round_takes_no_longer_than_it_may() {
    let script = Script::slow(SECOND * 9, |_, place| clues([place]));
    let (quiz, began) = (quiz(&script, &[("provider", "jservice"), ("time_s", "25")]), now());
    let (got, ended) = one(&quiz, 10, &Saved::default()).await.0.unwrap_err();
    assert_eq!((got, ended.late), (2, true));
    assert!(ended.story.contains("the 25 s for one try are over"), "{}", ended.story);
    // And a pause for each of the two that brought something.
    assert_eq!((now() - began), SECOND * 27);
}

#[tokio::test]
async fn after_failures_pauses_grow_until_it_is_left_alone_and_one_request_finds_out() {
    let script = Script::new(|_, place| if place < 6 { status(429, None) } else { clues(0..9) });
    let (quiz, saved) = (quiz(&script, ONE), Saved::default());
    let (got, ended) = one(&quiz, 2, &saved).await.0.unwrap_err();
    assert_eq!((got, ended.late, script.requests()), (0, false, 5));
    assert!(
        ended.story.contains("wants to be asked less often, failed too often of late"),
        "{}",
        ended.story
    );
    for (gap, least) in script.gaps().iter().zip([1, 2, 4, 8]) {
        let least = SECOND * least;
        assert!(*gap >= least && *gap < least * 2, "{:?}", script.gaps());
    }
    // It is not even asked.
    let (_, ended) = one(&quiz, 2, &saved).await.0.unwrap_err();
    assert_eq!(script.requests(), 5);
    assert!(ended.story.contains("is left alone for 60 s more"), "{}", ended.story);
    // The first request after the pause finds it failing still, and that is enough.
    sleep(SECOND * 61).await;
    one(&quiz, 2, &saved).await.0.unwrap_err();
    assert_eq!(script.requests(), 6);
    sleep(SECOND * 61).await;
    assert_eq!(one(&quiz, 2, &saved).await.0.unwrap(), 2);
    assert_eq!(script.requests(), 7);
}

#[tokio::test]
async fn a_pause_that_the_service_asks_for_is_kept() {
    let script = Script::new(|_, place| if place == 0 { status(503, Some("7")) } else { clues(0..9) });
    let (done, report) = one(&quiz(&script, ONE), 2, &Saved::default()).await;
    assert_eq!(done.unwrap(), 2);
    assert!(script.gaps()[0] >= SECOND * 7 && script.gaps()[0] < SECOND * 8, "{:?}", script.gaps());
    let trouble = report[0].trouble.as_deref().unwrap();
    assert_eq!(trouble, "failed with status 503, and to be left alone for 7 s");
}

#[tokio::test]
async fn a_pause_beyond_the_time_of_the_round_ends_it_at_once_and_binds_later_rounds() {
    for asked in ["61", "18446744073709551615", "99999999999999999999999999"] {
        let asked_for = asked.to_owned();
        let script =
            Script::new(move |_, place| if place == 0 { status(429, Some(&asked_for)) } else { clues(0..9) });
        let (quiz, saved, began) = (quiz(&script, ONE), Saved::default(), now());
        let (_, ended) = one(&quiz, 2, &saved).await.0.unwrap_err();
        assert!(!ended.late && ended.story.contains("and is left alone for"), "{}", ended.story);
        one(&quiz, 2, &saved).await.0.unwrap_err();
        assert_eq!(script.requests(), 1);
        assert!((now() - began) < SECOND);
        // What is asked for beyond all reason is not taken at its word.
        sleep(SECOND * 3600).await;
        assert_eq!(one(&quiz, 2, &saved).await.0.unwrap(), 2);
    }
}

#[tokio::test]
async fn where_there_is_another_source_one_in_trouble_is_tried_once_more_and_left() {
    let script = Script::new(|_, _| status(500, None));
    let (done, report) = one(&quiz(&script, WITH_BANK), 5, &Saved::default()).await;
    assert_eq!(done.unwrap(), 5);
    assert_eq!(script.requests(), 2);
    assert_eq!(report[0].trouble.as_deref(), Some("failed with status 500"));
    assert_eq!((report[1].source, report[1].new), (QuestionSource::Bank, 5));
}

#[tokio::test]
async fn where_there_is_another_source_a_long_pause_is_not_waited_for() {
    let script = Script::new(|_, _| status(429, Some("30")));
    let (quiz, saved, began) = (quiz(&script, WITH_BANK), Saved::default(), now());
    assert_eq!(one(&quiz, 3, &saved).await.0.unwrap(), 3);
    assert_eq!(one(&quiz, 3, &saved).await.0.unwrap(), 3);
    assert_eq!(script.requests(), 1);
    assert!((now() - began) < SECOND);
}

#[tokio::test]
async fn a_source_that_is_used_up_is_left_for_the_next() {
    let script = Script::new(|_, _| clues(0..2));
    let (done, report) = one(&quiz(&script, WITH_BANK), 6, &Saved::default()).await;
    assert_eq!(done.unwrap(), 6);
    assert_eq!((report[0].new, report[1].new), (2, 4));
    assert!(report[0].trouble.as_deref().unwrap().starts_with("brought nothing new 5 times"));
}

#[tokio::test]
async fn what_time_does_not_heal_is_not_tried_again() {
    let html = || {
        let mut answer = clues([])?;
        answer.headers.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
        Ok(answer)
    };
    type Says = Box<dyn Fn() -> Result<Response, Trouble> + Send + Sync>;
    let answers: [(&str, Says); 5] = [
        ("answered with status 404", Box::new(|| status(404, None))),
        ("answered with status 302, a redirect, and none is followed", Box::new(|| status(302, None))),
        ("gave no questions: its answer is \"text/html\", not JSON", Box::new(html)),
        ("gave no questions: its answer is no list of clues", Box::new(|| json_answer(&json!({"data": []})))),
        ("may not be called: there", Box::new(|| Err(Trouble::Forbidden("there".to_owned())))),
    ];
    for (told, answer) in answers {
        let script = Script::new(move |_, _| answer());
        let (_, ended) = one(&quiz(&script, ONE), 2, &Saved::default()).await.0.unwrap_err();
        assert!(ended.story.contains(told) && !ended.late, "{}", ended.story);
        assert_eq!(script.requests(), 1, "{told}");
    }
}

#[tokio::test]
async fn a_service_that_never_answers_in_time_is_told_of_as_late() {
    let script = Script::slow(SECOND * 10, |_, _| Err(Trouble::Late("10 s".to_owned())));
    let (got, ended) = one(&quiz(&script, ONE), 2, &Saved::default()).await.0.unwrap_err();
    assert_eq!((got, ended.late), (0, true));
    assert!(ended.story.contains("gave no answer in time: 10 s"), "{}", ended.story);
    assert!(script.requests() <= 5);
}

#[tokio::test]
async fn the_bank_needs_nobody() {
    let script = Script::new(|_, _| status(500, None));
    let (quiz, saved) = (quiz(&script, &[]), Saved::default());
    let ended = loop {
        if let Err((_, ended)) = one(&quiz, 100, &saved).await.0 {
            break ended;
        }
    };
    assert_eq!(script.requests(), 0);
    assert!(!ended.late && ended.story.contains("bank: it has no more"), "{}", ended.story);
    // However few are left, they are found, though nothing new comes many times in a row.
    let last = saved.lock().unwrap().iter().next().cloned().unwrap();
    saved.lock().unwrap().remove(&last);
    assert_eq!(one(&quiz, 1, &saved).await.0.unwrap(), 1);
}
