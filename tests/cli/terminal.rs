//! On a terminal: widths, colours, bars that come and go, the screen that is taken and given back.

use rustix::termios::LocalModes;
use serde_json::json;

use crate::compare;
use crate::fake::serve;
use crate::pty::Terminal;
use crate::world::{World, bare, png_in};

/// A list as a daemon would give it, the same at every run.
const TASKS: &str = r#"[
{"id":123456,"kind":"transcode","status":"In Progress","progress":42,"attempt":1,"tags":[],
 "created_at":"2020-01-01T00:00:00Z","started_at":"2020-01-01T00:00:01Z"},
{"id":123455,"kind":"a_kind_with_quite_a_long_name","status":"Failed","attempt":3,"tags":["nightly","from-the-office"],
 "created_at":"2020-01-01T00:00:00Z","started_at":"2020-01-01T00:00:01Z","finished_at":"2020-01-01T00:00:02.5Z",
 "error":{"reason":"error","message":"the picture 漢字かな.png could not be made smaller, since the disk is full"}},
{"id":7,"kind":"noop","status":"Completed","attempt":1,"tags":[],
 "created_at":"2020-01-01T00:00:00Z","started_at":"2020-01-01T00:00:01Z","finished_at":"2020-01-01T00:00:31Z"},
{"id":6,"kind":"noop","status":"Cancelled","attempt":0,"tags":["a"],"created_at":"2020-01-01T00:00:00Z"},
{"id":5,"kind":"noop","status":"New","attempt":0,"tags":[],"created_at":"2020-01-01T00:00:00Z"}
]"#;

fn list() -> String {
    serve(|asked| asked.answer(200, "", TASKS)).0
}

/// A session on a terminal: what it showed at its end, and every byte of it.
fn session(columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare(folder.path(), arguments);
    command.envs(environment.iter().copied());
    let (code, screen, bytes) = Terminal::run(columns, 24, &command).ended();
    assert_eq!(code, 0, "{bytes}");
    (screen.contents(), bytes)
}

#[test]
fn a_table_fits_the_terminal_and_is_whole_without_one() {
    let url = list();
    for columns in [60, 80, 200] {
        let (shown, bytes) = session(columns, &["tasks", "--url", &url], &[]);
        compare(&format!("tasks-{columns}.txt"), &shown);
        // A line that is too long would have been broken, and so take two.
        assert_eq!(bytes.matches("\r\n").count(), 6, "{bytes}");
        assert_eq!(shown.lines().count(), 6, "{shown}");
    }
    let folder = tempfile::tempdir().unwrap();
    let plain = crate::world::said(&mut bare(folder.path(), &["tasks", "--url", &url])).done();
    assert!(plain.contains("since the disk is full") && plain.contains("from-the-office"), "{plain}");
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let url = list();
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let (_, bytes) = session(80, &[&["tasks", "--url", &url], arguments].concat(), environment);
        bytes.contains("\u{1b}[31mFailed")
    };
    assert!(coloured(&[], &[]));
    assert!(!coloured(&[], &[("NO_COLOR", "1")]));
    assert!(coloured(&[], &[("NO_COLOR", "")]), "an empty NO_COLOR says nothing");
    assert!(!coloured(&[], &[("TERM", "dumb")]));
    assert!(!coloured(&["--color", "never"], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!coloured(&["--json"], &[]));
    let folder = tempfile::tempdir().unwrap();
    let plain = crate::world::said(&mut bare(folder.path(), &["tasks", "--url", &url])).done();
    assert!(!plain.contains('\u{1b}'), "{plain}");
}

#[test]
fn a_bar_shows_how_far_a_task_is_and_is_wiped_away() {
    let world = World::new();
    let id = world.waiting();
    let attempt = world.claim(id);
    for columns in [60, 200] {
        let terminal = Terminal::run(columns, 10, &world.command(&["watch", &id.to_string()]));
        world.post(&format!("/tasks/{id}/progress"), &json!({"attempt": attempt, "percent": 40}));
        let line = terminal.until("the bar", |screen| {
            screen.contents().lines().find(|line| line.contains("40 %")).map(str::to_owned)
        });
        assert!(line.contains(&format!("task {id} (resize)")) && line.contains('█'), "{line}");
        assert_eq!(terminal.contents().lines().count(), 1, "{}", terminal.contents());
        if columns == 60 {
            let mut terminal = terminal;
            terminal.press("\u{3}");
            let (code, screen, bytes) = terminal.ended();
            assert_eq!((code, screen.contents().trim()), (130, ""), "the bar is wiped away: {bytes:?}");
        } else {
            world.post(&format!("/tasks/{id}/complete"), &json!({"attempt": attempt}));
            let (code, screen, _) = terminal.ended();
            assert_eq!(code, 0);
            let shown = screen.contents();
            let lines: Vec<&str> = shown.lines().collect();
            assert!(
                lines.len() == 1 && lines[0].starts_with(&format!("task {id} (resize): Completed")),
                "{lines:?}"
            );
            assert!(!screen.hide_cursor());
        }
    }
}

#[test]
fn an_upload_shows_its_bytes_and_quiet_or_piped_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let size = 50 << 20;
    std::fs::File::create(folder.path().join("photo.png")).unwrap().set_len(size).unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (url, _) = serve(move |mut asked| {
        asked.swallow(size / 2);
        wait.lock().unwrap().recv().unwrap();
        asked.swallow(size / 2);
        asked.answer(201, "", r#"{"url":"http://h/images/x.png","original_name":"photo.png"}"#);
    });
    let terminal = Terminal::run(60, 10, &bare(folder.path(), &["upload", "photo.png", "--url", &url]));
    let line = terminal.until("half of it", |screen| {
        screen
            .contents()
            .lines()
            .find(|line| line.contains("of 50.00 MiB") && line.contains('█'))
            .map(str::to_owned)
    });
    assert!(line.starts_with("photo.png "), "{line}");
    go.send(()).unwrap();
    let (code, screen, _) = terminal.ended();
    assert_eq!((code, screen.contents().trim()), (0, "http://h/images/x.png"));

    go.send(()).unwrap();
    let quiet = bare(folder.path(), &["upload", "-q", "photo.png", "--url", &url]);
    let (_, _, bytes) = Terminal::run(60, 10, &quiet).ended();
    assert_eq!(bytes, "http://h/images/x.png\r\n");
    go.send(()).unwrap();
    let piped = crate::world::said(&mut bare(folder.path(), &["upload", "photo.png", "--url", &url]));
    assert_eq!((piped.out.as_str(), piped.err.as_str()), ("http://h/images/x.png\n", ""));
}

#[test]
fn a_token_that_is_typed_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let token = "3b1d3c5e-0c4f-4d39-9a51-7e1f6f0f2f7a";
    let command = bare(folder.path(), &["profile", "add", "home", "--url", "http://127.0.0.1:1"]);
    let mut terminal = Terminal::run(80, 10, &command);
    terminal.until_it_shows("token:");
    assert!(!terminal.modes().local_modes.contains(LocalModes::ECHO));
    terminal.press(&format!("x\u{7f}{token}\r"));
    let before = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    terminal.until_it_shows("and in use");
    assert!(terminal.modes().local_modes.contains(before));
    let (code, _, bytes) = terminal.ended();
    assert!(code == 0 && !bytes.contains(&token[..8]), "{bytes}");

    let mut terminal = Terminal::run(80, 10, &command);
    terminal.until_it_shows("token:");
    terminal.press("half\u{3}");
    let (code, _, modes) = terminal.left();
    assert_eq!(code, 130);
    assert!(modes.local_modes.contains(before), "Ctrl-C gives the terminal back");
}

#[test]
fn the_whole_terminal_is_drawn_anew_when_something_happens_and_given_back() {
    let world = World::new();
    let first = world.waiting();
    let mut terminal = Terminal::run(70, 12, &world.command(&["tasks", "--watch", "--kind", "resize"]));
    terminal.until("the first task", |screen| {
        let contents = screen.contents();
        (screen.alternate_screen()
            && screen.hide_cursor()
            && contents.contains("q quits")
            && contents.contains("New"))
        .then_some(())
    });
    assert!(!terminal.modes().local_modes.contains(LocalModes::ECHO));
    let shown = terminal.contents().replace(&world.url(), "http://127.0.0.1:PORT");
    compare("watch-70x12.txt", &shown);
    let attempt = world.claim(first);
    terminal.until_it_shows("In Progress");
    world.post(&format!("/tasks/{first}/complete"), &json!({"attempt": attempt}));
    terminal.until_it_shows("1 Completed");
    for _ in 0..30 {
        world.waiting();
    }
    terminal.until_it_shows("there are more");
    terminal.resize(120, 20);
    terminal.until("more rows", |screen| {
        screen.contents().lines().nth(18).is_some_and(|line| line.contains("New")).then_some(())
    });
    terminal.press("q");
    terminal.until("the screen is given back", |screen| {
        (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
    });
    let (code, screen, modes) = terminal.left();
    assert_eq!((code, screen.contents().trim()), (0, ""));
    assert!(modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
}

#[test]
fn the_screen_is_given_back_after_ctrl_c_and_sigterm_and_says_when_the_daemon_is_away() {
    let mut world = World::new();
    world.waiting();
    for signal in ["-INT", "-TERM"] {
        let terminal = Terminal::run(80, 12, &world.command(&["tasks", "--watch"]));
        terminal.until_it_shows("q quits");
        let kill = std::process::Command::new("kill").args([signal, &terminal.pid().to_string()]).status();
        assert!(kill.unwrap().success());
        let (code, screen, modes) = terminal.left();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{signal}");
        assert_eq!(code, 130, "{signal}");
        assert!(modes.local_modes.contains(LocalModes::ECHO), "{signal}");
    }
    let mut terminal = Terminal::run(80, 12, &world.command(&["tasks", "--watch"]));
    terminal.until_it_shows("q quits");
    world.stop();
    terminal.until_it_shows("nothing listens at");
    world.start_again();
    terminal.until_it_shows("1 New");
    terminal.press("\u{1b}");
    assert_eq!(terminal.ended().0, 0, "Escape quits as well");
}

#[test]
fn a_backup_shows_how_far_it_is_and_is_one_line_without_a_terminal() {
    let world = World::new();
    for grey in [1, 2] {
        let picture = world.file("a.png", &png_in(grey));
        world.run(&["upload", &picture.display().to_string()]).done();
    }
    let mut command = bare(world.home.path(), &["backup"]);
    command.env("GRISTMILL_FAILPOINT", "backup_blob_copied:2=HANG");
    let terminal = Terminal::run(60, 10, &command);
    let line = terminal.until("how far it is", |screen| {
        screen.contents().lines().find(|line| line.starts_with("blobs ")).map(str::to_owned)
    });
    assert!(line.contains(" of ") && line.chars().count() <= 60, "{line}");
    let kill = std::process::Command::new("kill").args(["-KILL", &terminal.pid().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(terminal.ended().0, 128 + 9);

    let (code, screen, bytes) = Terminal::run(200, 10, &bare(world.home.path(), &["backup"])).ended();
    let shown = screen.contents();
    assert_eq!((code, shown.lines().count(), screen.hide_cursor()), (0, 1, false), "{bytes}");
    assert!(shown.contains(" rows") && shown.contains("blobs"), "{shown}");
    let plain = world.run_at_home(&["backup"]).done();
    assert!(plain.lines().count() == 1 && !plain.contains('\u{1b}'), "{plain}");
}
