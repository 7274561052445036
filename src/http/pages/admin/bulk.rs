//! `/admin/tasks/act`: what is done to tasks: to one, to those that are ticked, to all that match.
//!
//! Called by the list of tasks, and by those of images, recordings and reports, which live and go with their tasks. True
//! here: what removes, and whatever is done to all that match, is asked about first, with how many; all that match are
//! those that were there when it was asked, so that what comes meanwhile is not swept along; and much is done in steps of
//! bounded length, each of which says how far it is and leads to the next: a script sends it, or a person does.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::confirm::{self, Ask, CONFIRMED};
use super::notice::{Deed, Notice};
use super::tasks::{FIELDS, HERE, Wanted};
use super::{Chrome, Tab, back_to, enter};
use crate::account::Caller;
use crate::http::bulk;
use crate::http::extract;
use crate::http::pages::assets::Asset;
use crate::http::pages::form::Form;
use crate::http::pages::frame::Frame;
use crate::http::pages::see_other;
use crate::http::pages::words::admin::BulkWords;
use crate::http::pages::words::filled;
use crate::http::pages::words::written::{number, plural};
use crate::http::{Problem, State};
use crate::intake::Done;
use crate::media::report::Language;
use crate::store::{Bulk, BulkAct, Selection, TaskFilter};
use crate::task::TaskId;

/// The most tasks that a form names.
const MOST: usize = 500;

/// So many are counted to say how many match.
const COUNTED: u32 = 100_000;

#[derive(Template)]
#[template(path = "admin/steps.html")]
struct StepsPage {
    frame: Frame,
    chrome: Chrome,
    w: &'static BulkWords,
    title: &'static str,
    /// How far it is, in words.
    so_far: String,
    done: u64,
    total: u64,
    fields: Vec<(String, String)>,
    back: String,
}

/// What a form wants done.
struct Order {
    act: BulkAct,
    /// These tasks; `None` is all that match.
    ids: Option<Vec<TaskId>>,
    wanted: Wanted,
    filter: TaskFilter,
    /// What the tasks are to whoever sent the form.
    what: What,
    confirmed: bool,
    back: String,
    progress: Progress,
}

/// How far the steps are.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    after: Option<TaskId>,
    done: u64,
    refused: u64,
    total: u64,
}

/// What tasks are shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Tasks,
    Images,
    Recordings,
    Reports,
}

impl What {
    const ALL: [Self; 4] = [Self::Tasks, Self::Images, Self::Recordings, Self::Reports];

    fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Images => "images",
            Self::Recordings => "recordings",
            Self::Reports => "reports",
        }
    }

    fn words(self, language: Language, w: &BulkWords, many: u64) -> &'static str {
        let forms = match self {
            Self::Tasks => [w.task_one, w.task_few, w.task_many],
            Self::Images => [w.image_one, w.image_few, w.image_many],
            Self::Recordings => [w.recording_one, w.recording_few, w.recording_many],
            Self::Reports => [w.report_one, w.report_few, w.report_many],
        };
        plural(language, many, forms)
    }
}

fn act_of(word: &str) -> Option<BulkAct> {
    [BulkAct::Retry, BulkAct::Cancel, BulkAct::Delete].into_iter().find(|act| word_of(*act) == word)
}

fn word_of(act: BulkAct) -> &'static str {
    match act {
        BulkAct::Retry => "retry",
        BulkAct::Cancel => "cancel",
        BulkAct::Delete => "delete",
    }
}

fn deed_of(act: BulkAct) -> Deed {
    match act {
        BulkAct::Retry => Deed::Retried,
        BulkAct::Cancel => Deed::Cancelled,
        BulkAct::Delete => Deed::Deleted,
    }
}

/// Does it, or asks first.
pub(super) async fn act(
    state: Data<State>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, frame, chrome) = enter(&state, &request, Tab::Tasks).await?;
    let Some(order) = order(&state, &request, body, caller).await? else {
        return see_other(&Notice::at(HERE, Deed::NothingChosen, [0; 3]));
    };
    if order.ids.as_ref().is_some_and(Vec::is_empty) {
        return see_other(&Notice::at(&order.back, Deed::NothingChosen, [0; 3]));
    }
    let ask = order.ids.is_none() || order.act == BulkAct::Delete;
    if ask && !order.confirmed {
        return asked(&state, frame, chrome, order).await;
    }
    let bulk = match step(&state, caller, &order).await? {
        Done::Now(bulk) => bulk,
        Done::Before(_) => {
            return Err(Problem::internal("an answer was remembered that nobody had asked to"));
        }
    };
    let so_far = Progress {
        after: bulk.next,
        done: order.progress.done + bulk.changed,
        refused: order.progress.refused + bulk.refused,
        total: order.progress.total,
    };
    if so_far.after.is_some() {
        return Frame::answer(&steps(frame, chrome, &order, so_far), StatusCode::OK);
    }
    see_other(&Notice::at(&order.back, deed_of(order.act), [so_far.done, so_far.refused, 0]))
}

/// Reads the form; `None` where it says nothing to do.
async fn order(
    state: &State,
    request: &HttpRequest,
    body: Payload,
    caller: Caller,
) -> Result<Option<Order>, Problem> {
    const OTHERS: [&str; 10] =
        ["act", "one", "all", "what", "back", CONFIRMED, "after", "done", "refused", "total"];
    let names = [&OTHERS[..], &FIELDS].concat();
    let mut form = Form::with_lists(state, request, body, &names, &["id"]).await?;
    let wanted = Wanted::of(|name| form.text(name));
    let mut faults = Vec::new();
    let filter = wanted.filter(caller, |name, problem| faults.push((name, problem)));
    let mut ids: Vec<TaskId> = Vec::new();
    let mut choose = |text: &str| match extract::number(text) {
        Ok(id) => ids.push(TaskId(id)),
        Err(problem) => faults.push(("id", problem)),
    };
    let (word, all) = match (form.text("one"), form.text("all"), form.text("act")) {
        (Some(one), _, _) => {
            let (word, id) = one.split_once(':').unwrap_or((one, ""));
            choose(id);
            (Some(word), false)
        }
        (None, Some(all), _) => (Some(all), true),
        (None, None, act) => {
            form.all("id").for_each(choose);
            (act, false)
        }
    };
    if ids.len() > MOST {
        faults.push(("id", format!("expected at most {MOST}")));
    }
    let act = word.and_then(act_of);
    if word.is_some() && act.is_none() {
        faults.push(("act", "expected `retry`, `cancel` or `delete`".to_owned()));
    }
    let count = |name: &str| form.text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let progress = Progress {
        after: form.text("after").and_then(|text| extract::number(text).ok()).map(TaskId),
        done: count("done"),
        refused: count("refused"),
        total: count("total"),
    };
    let what = form.text("what").and_then(|word| What::ALL.into_iter().find(|what| what.as_str() == word));
    let (confirmed, back) = (form.text(CONFIRMED).is_some(), back_to(form.text("back"), HERE));
    for (name, problem) in faults {
        form.fault(name, problem);
    }
    form.finish()?;
    let Some(act) = act else { return Ok(None) };
    let ids = (!all).then_some(ids);
    let what = what.unwrap_or(What::Tasks);
    Ok(Some(Order { act, ids, wanted, filter, what, confirmed, back, progress }))
}

/// The tasks that are meant.
fn selection(order: &Order) -> Selection {
    match &order.ids {
        Some(ids) => {
            let filter = TaskFilter::of(Caller::Admin(None));
            Selection { filter, ids: Some(ids.clone()), statuses: &[], except: None }
        }
        None => Selection {
            filter: order.filter.clone(),
            ids: None,
            statuses: order.act.statuses(),
            except: None,
        },
    }
}

async fn step(state: &State, caller: Caller, order: &Order) -> Result<Done<Bulk>, Problem> {
    bulk::change(state, caller, order.act, selection(order), order.progress.after, None).await
}

/// Asks whether that is meant, with how many there are of it.
async fn asked(
    state: &State,
    frame: Frame,
    chrome: Chrome,
    mut order: Order,
) -> Result<HttpResponse, Problem> {
    let language = frame.language();
    let w = BulkWords::of(language);
    let many = match &order.ids {
        Some(ids) => ids.len() as u64,
        None => {
            // Those that are there now, and none that comes while it is being done.
            let now = state.store.now().await?;
            let before = order.filter.created_before.map_or(now, |before| before.min(now));
            order.filter.created_before = Some(before);
            order.wanted.set("before", before.to_string());
            state.store.count_selected(&selection(&order), COUNTED).await?
        }
    };
    if many == 0 {
        return see_other(&Notice::at(&order.back, deed_of(order.act), [0; 3]));
    }
    let at_least = many >= u64::from(COUNTED);
    let count = number(language, many);
    let count = if at_least { filled(w.at_least, &[&count]) } else { count };
    let (question, yes) = match order.act {
        BulkAct::Retry => (w.ask_retry, w.yes_retry),
        BulkAct::Cancel => (w.ask_cancel, w.yes_cancel),
        BulkAct::Delete => (w.ask_delete, w.yes_delete),
    };
    let deletes = order.act == BulkAct::Delete;
    order.progress.total = many;
    let ask = Ask {
        question: filled(question, &[&count, order.what.words(language, w, many)]),
        warning: deletes.then_some(w.delete_warning),
        yes,
        danger: deletes,
        action: "/admin/tasks/act".to_owned(),
        fields: fields(&order, order.progress),
        back: order.back,
    };
    confirm::page(frame, chrome, ask)
}

/// What the next form has to say for the order to go on.
fn fields(order: &Order, progress: Progress) -> Vec<(String, String)> {
    let mut fields: Vec<(&str, String)> = vec![("what", order.what.as_str().to_owned())];
    match &order.ids {
        Some(ids) => {
            fields.push(("act", word_of(order.act).to_owned()));
            fields.extend(ids.iter().map(|id| ("id", id.to_string())));
        }
        None => {
            fields.push(("all", word_of(order.act).to_owned()));
            fields.extend(order.wanted.texts.iter().map(|(name, text)| (*name, text.clone())));
        }
    }
    fields.push(("total", progress.total.to_string()));
    if let Some(after) = progress.after {
        fields.push(("after", after.to_string()));
        fields.push(("done", progress.done.to_string()));
        fields.push(("refused", progress.refused.to_string()));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn steps(frame: Frame, chrome: Chrome, order: &Order, so_far: Progress) -> StepsPage {
    let language = frame.language();
    let w = BulkWords::of(language);
    let looked_at = so_far.done + so_far.refused;
    let total = so_far.total.max(looked_at);
    StepsPage {
        title: match order.act {
            BulkAct::Retry => w.retrying,
            BulkAct::Cancel => w.cancelling,
            BulkAct::Delete => w.deleting,
        },
        so_far: filled(w.so_far, &[&number(language, looked_at), &number(language, total)]),
        done: looked_at,
        total,
        fields: fields(order, so_far),
        back: order.back.clone(),
        frame,
        chrome,
        w,
    }
}
