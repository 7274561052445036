//! Many rounds at once against one service.

use tokio::task::JoinSet;

use super::*;

const ONE: &[(&str, &str)] = &[("provider", "jservice")];

/// Clues without end, none twice.
fn endless() -> Arc<Script> {
    let next = AtomicUsize::new(0);
    Script::slow(Duration::from_millis(500), move |url, _| {
        let count = count_of(url);
        let first = next.fetch_add(count, Ordering::SeqCst);
        clues(first..first + count)
    })
}

/// So many rounds at once, each of which wants as many; how each ended.
async fn all(quiz: &Quiz, rounds: usize, wanted: u32) -> Vec<Result<u32, (u32, Ended)>> {
    let saved = Arc::new(Saved::default());
    let mut under_way = JoinSet::new();
    for _ in 0..rounds {
        let (mut round, saved) = (quiz.round(), Arc::clone(&saved));
        under_way.spawn(async move { gather(&mut round, wanted, &saved).await });
    }
    under_way.join_all().await
}

#[tokio::test]
async fn twenty_rounds_share_few_requests_that_keep_the_pace() {
    let script = endless();
    let done = all(&quiz(&script, ONE), 20, 3).await;
    assert!(done.iter().all(|got| matches!(got, Ok(3))), "{done:?}");
    // The first asks before the others come; what it asks for all the others, they need not ask for. That no two are
    // under way at once, the script asserts.
    assert_eq!(script.requests(), 2, "{:?}", script.urls());
    assert!(
        script.gaps().iter().all(|gap| *gap >= SECOND + Duration::from_millis(500)),
        "{:?}",
        script.gaps()
    );
}

#[tokio::test]
async fn two_that_ask_for_one_question_make_one_request() {
    let script = endless();
    let done = all(&quiz(&script, ONE), 2, 1).await;
    assert!(done.iter().all(|got| matches!(got, Ok(1))), "{done:?}");
    assert_eq!(script.requests(), 1);
}

#[tokio::test]
async fn all_stop_asking_a_service_that_fails() {
    let script = Script::new(|_, _| status(503, None));
    let done = all(&quiz(&script, ONE), 20, 3).await;
    assert!(done.iter().all(|got| matches!(got, Err((0, _)))), "{done:?}");
    assert_eq!(script.requests(), 5);
    for (gap, least) in script.gaps().iter().zip([1, 2, 4, 8]) {
        assert!(*gap >= SECOND * least, "{:?}", script.gaps());
    }
}

#[tokio::test]
async fn nobody_with_another_source_waits_in_the_line_of_one_who_waits() {
    let script = Script::new(|_, _| status(503, Some("20")));
    let quiz = quiz(&script, &[("provider", "jservice, bank")]);
    let began = now();
    let done = all(&quiz, 4, 2).await;
    assert!(done.iter().all(|got| matches!(got, Ok(2))), "{done:?}");
    assert_eq!(script.requests(), 1);
    assert!((now() - began) < SECOND);
}

#[tokio::test]
async fn what_one_round_gives_back_another_takes_for_a_while() {
    let script = endless();
    let quiz = quiz(&script, ONE);
    for (later, requests) in [(Duration::ZERO, 1), (SECOND * 599, 1), (SECOND * 601, 2)] {
        let before = script.requests();
        let mut first = quiz.round();
        let drawn = first.draw(10).await.unwrap();
        // One was new, two were known, and then it had enough.
        first.kept(1, 2);
        assert_eq!(first.report()[0].drawn, 3);
        sleep(later).await;
        let mut second = quiz.round();
        let mut given = Vec::new();
        while given.len() < 8 {
            let more = second.draw(8).await.unwrap();
            second.kept(u32::try_from(more.len()).unwrap(), 0);
            given.extend(more);
        }
        assert_eq!(script.requests() - before, requests, "after {later:?}");
        assert_eq!(given.contains(&drawn[5]), requests == 1, "after {later:?}");
        assert!(
            !given.contains(&drawn[0]) && !given.contains(&drawn[2]),
            "what was judged is not given again"
        );
        sleep(SECOND * 601).await;
    }
}

#[tokio::test]
async fn a_round_that_goes_away_in_the_middle_leaves_the_line_and_the_pace_behind() {
    let script = endless();
    let quiz = quiz(&script, ONE);
    let mut gone = quiz.round();
    let cut = within(Duration::from_millis(100), gone.draw(50)).await;
    assert!(cut.is_none());
    let mut next = quiz.round();
    assert_eq!(next.draw(4).await.unwrap().len(), 4);
    assert_eq!(script.requests(), 2);
    assert!(script.gaps()[0] >= SECOND + Duration::from_millis(100), "{:?}", script.gaps());
    // The one that went away wants nothing any more.
    assert_eq!(count_of(&script.heard.lock().unwrap()[1].1), 7);
}

#[tokio::test]
async fn a_round_whose_time_is_over_asks_nobody() {
    let script = endless();
    let quiz = quiz(&script, ONE);
    let mut round = quiz.round();
    sleep(SECOND * 60).await;
    let ended = round.draw(1).await.unwrap_err();
    assert!(ended.late && ended.story.contains("the 60 s for one try are over"), "{}", ended.story);
    assert_eq!(script.requests(), 0);
}

#[tokio::test]
async fn a_probe_that_goes_away_keeps_nobody_out() {
    let script =
        Script::slow(
            Duration::from_millis(500),
            |_, place| if place == 0 { status(500, None) } else { clues(0..9) },
        );
    let quiz = quiz(&script, &[("provider", "jservice"), ("breaker_failures", "1")]);
    quiz.round().draw(1).await.unwrap_err();
    sleep(SECOND * 61).await;
    let mut gone = quiz.round();
    assert!(within(Duration::from_millis(100), gone.draw(1)).await.is_none());
    assert_eq!(quiz.round().draw(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_service_that_gives_far_more_than_asked_for_fills_nothing_without_bound() {
    let script = Script::new(|_, place| clues(place * 5000..place * 5000 + 5000));
    let quiz = quiz(&script, ONE);
    let mut round = quiz.round();
    let mut given = 0;
    while script.requests() < 2 {
        let questions = round.draw(50).await.unwrap();
        assert!(questions.len() <= 50);
        given += questions.len();
        round.kept(u32::try_from(questions.len()).unwrap(), 0);
    }
    // The first 50, the 200 that were kept, and the 50 of the second request.
    assert_eq!(given, 300);
}
