//! Notifications: a question that waits is heard of once, a burst of them as one.
//!
//! Buttons are Open and Refuse, in this order, because a macOS menu reports its first entry when
//! it is merely opened. There is no Approve: a yes belongs where the whole card can be read, and
//! on a Linux session bus any program of the same user can say that a button was pressed.

use crate::opening::DeskSlot;
use crate::windows;
use imprest_desk::Desk;
use imprest_desk::view::{ApprovalCard, Problem};
use imprest_domain::plain_line;
use std::time::Duration;
use tauri::{AppHandle, Manager};
use tauri_plugin_notification::{Action, ActionPerformed, ActionType, NotificationExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// Questions that come within this time after a notification share the next one.
const BURST: Duration = Duration::from_secs(5);

const QUESTION: &str = "question";
const REFUSE: &str = "refuse";
/// The key under which a notification carries its approval's identifier.
const APPROVAL: &str = "approval";
/// All notifications about questions share one number, so that they can be taken back together.
const QUESTION_ID: i32 = 1;
/// Limits that are nearly used share another.
const LIMIT_ID: i32 = 2;

const TITLE_CHARS: usize = 80;
const LINE_CHARS: usize = 120;

/// Registers the buttons and what they do; call it once, before anything is shown.
pub fn prepare(app: &AppHandle) {
    let question = ActionType::builder(QUESTION).actions(vec![
        Action::builder("open", "Open").build(),
        Action::builder(REFUSE, "Refuse").build(),
    ]);
    let at = app.clone();
    let ready = app
        .notification()
        .register_action_types(vec![question.build()])
        .and_then(|()| app.notification().on_action(move |done| on_action(&at, done)));
    if let Err(error) = ready {
        tracing::warn!(%error, "notifications have no buttons");
    }
}

fn on_action(app: &AppHandle, done: &ActionPerformed) {
    let approval = done
        .notification()
        .and_then(|shown| shown.extra().get(APPROVAL))
        .and_then(|id| id.as_str())
        .map(str::to_owned);
    match (done.action_id(), approval) {
        (REFUSE, Some(approval)) => refuse(app, approval),
        _ => windows::open(app),
    }
}

/// Refusing only takes away, so it needs no more than the click.
fn refuse(app: &AppHandle, approval: String) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let refused = match app.state::<DeskSlot>().desk().await {
            Ok(desk) => desk.refuse(approval, None).await.map(drop),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = refused {
            tracing::warn!(code = problem.code, "{}", problem.message);
            windows::open(&app);
        }
    });
}

/// Tells the owner of questions and of limits that are nearly used, for as long as the desk is
/// open.
pub async fn follow(app: AppHandle, slot: DeskSlot) {
    let Some(desk) = slot.opened().await else { return };
    let mut questions = desk.questions();
    let mut warnings = desk.warnings();
    let mut changes = desk.changes();
    let mut bursts = Bursts::default();
    loop {
        let due = bursts.due();
        let wake = tokio::time::sleep_until(due.unwrap_or_else(Instant::now));
        tokio::select! {
            question = questions.recv() => match question {
                Ok(card) if bursts.asked(Instant::now()) => show_card(&app, &card),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => bursts.missed(),
                Err(RecvError::Closed) => return,
            },
            warning = warnings.recv() => match warning {
                Ok(text) => show_warning(&app, &text),
                // Those that were missed are on the home screen.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            () = wake, if due.is_some() => {
                bursts.told(Instant::now());
                show_count(&app, &desk).await;
            }
            changed = changes.recv(), if bursts.showing => match changed {
                Err(RecvError::Closed) => return,
                _ => {
                    if waiting(&desk).await == Some(0) {
                        bursts.showing = false;
                        take_back(&app);
                    }
                }
            },
        }
    }
}

async fn waiting(desk: &Desk) -> Option<u32> {
    desk.status().await.ok().map(|status| status.waiting)
}

fn show_card(app: &AppHandle, card: &ApprovalCard) {
    let (title, body) = words(card);
    question(app, title, body, Some(&card.id));
}

async fn show_count(app: &AppHandle, desk: &Desk) {
    let Some(count) = waiting(desk).await.filter(|count| *count > 0) else { return };
    let title =
        if count == 1 { "1 question waits".into() } else { format!("{count} questions wait") };
    question(app, title, "Open Imprest to answer. Silence means no.".into(), None);
}

/// The owner who looks at the window sees the card there, and needs no second call.
fn question(app: &AppHandle, title: String, body: String, approval: Option<&str>) {
    if windows::in_front(app) {
        return;
    }
    let mut shown = app.notification().builder().id(QUESTION_ID).title(title).body(body);
    if let Some(approval) = approval {
        shown = shown.action_type_id(QUESTION).extra(APPROVAL, approval);
    }
    send(shown);
}

/// The owner who looks at the window sees it on the home screen.
fn show_warning(app: &AppHandle, text: &str) {
    if windows::in_front(app) {
        return;
    }
    let (title, body) = warning_words(text);
    send(app.notification().builder().id(LIMIT_ID).title(title).body(body));
}

/// The desk says it in one sentence, once a span of time.
fn warning_words(text: &str) -> (&'static str, String) {
    ("A limit is nearly used", flat(text, LINE_CHARS))
}

/// Who, how much, what, to whom, from the ledger's record.
fn words(card: &ApprovalCard) -> (String, String) {
    let title = format!("{} asks to pay {} {}", card.agent, card.amount, card.asset);
    let what = flat(&card.what, LINE_CHARS);
    let body = format!("{what}\nTo {}", flat(&card.origin, LINE_CHARS));
    (flat(&title, TITLE_CHARS), body)
}

/// One bounded line without markup: desktops read `<b>` and `<a href>` in a notification's body.
fn flat(text: &str, max_chars: usize) -> String {
    plain_line(text, max_chars).replace('<', "‹").replace('>', "›").replace('&', "＆")
}

/// Says, the first time, that closing the window leaves the desk running.
pub fn closing_hides(app: &AppHandle) {
    let body = "The window is closed, and agents are still served. Quit from the tray or from \
                Settings; start Imprest again to see it.";
    send(app.notification().builder().title("Imprest keeps running").body(body));
}

/// Says that a freeze did not happen, which the owner must not have to find out.
pub fn not_frozen(app: &AppHandle, problem: &Problem) {
    let body =
        format!("{} {}", flat(&problem.message, LINE_CHARS), flat(&problem.recovery, LINE_CHARS));
    send(app.notification().builder().title("Payments are NOT frozen").body(body));
}

/// Without a notification daemon nothing is shown, and nothing else happens.
fn send(notification: tauri_plugin_notification::NotificationBuilder<tauri::Wry>) {
    if let Err(error) = notification.show() {
        tracing::warn!(%error, "a notification could not be shown");
    }
}

fn take_back(app: &AppHandle) {
    let app = app.clone();
    // It asks the notification daemon and waits for the answer.
    tauri::async_runtime::spawn_blocking(move || {
        if let Err(error) = app.notification().remove_active(vec![QUESTION_ID]) {
            tracing::debug!(%error, "a notification could not be taken back");
        }
    });
}

/// Decides which questions are told at once and which together.
#[derive(Debug, Default)]
struct Bursts {
    last: Option<Instant>,
    held: bool,
    showing: bool,
}

impl Bursts {
    /// A question came: true when it is told at once.
    fn asked(&mut self, now: Instant) -> bool {
        let quiet = self.last.is_none_or(|last| now.duration_since(last) >= BURST);
        if quiet && !self.held {
            self.told(now);
            return true;
        }
        self.held = true;
        false
    }

    /// Some came faster than they could be read.
    fn missed(&mut self) {
        self.held = true;
    }

    /// When the held ones are due.
    fn due(&self) -> Option<Instant> {
        self.held.then(|| self.last.map_or_else(Instant::now, |last| last + BURST))
    }

    fn told(&mut self, now: Instant) {
        self.last = Some(now);
        self.held = false;
        self.showing = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> ApprovalCard {
        ApprovalCard {
            id: "apv_1".into(),
            payment_id: "pay_1".into(),
            agent: "Scout".into(),
            agent_id: "agt_1".into(),
            what: "Forecast, 3 days".into(),
            amount: "0.42".into(),
            asset: "USDC".into(),
            origin: "https://weather.example".into(),
            pay_to: "0x0000000000000000000000000000000000000001".into(),
            url: "https://weather.example/3-days?key=hidden".into(),
            reasons: vec![],
            left_after: None,
            changes: vec![],
            purpose: Some("the agent's own words".into()),
            task: None,
            asked_at: "2026-11-22T10:00:00Z".into(),
            expires_at: "2026-11-22T10:05:00Z".into(),
        }
    }

    #[test]
    fn says_who_how_much_what_and_to_whom() {
        let (title, body) = words(&card());
        assert_eq!(title, "Scout asks to pay 0.42 USDC");
        assert_eq!(body, "Forecast, 3 days\nTo https://weather.example");
    }

    #[test]
    fn a_warning_is_one_plain_line() {
        let (title, body) = warning_words("Scout has used 82 % of today’s 5.00.");
        assert_eq!(title, "A limit is nearly used");
        assert_eq!(body, "Scout has used 82 % of today’s 5.00.");
        let (_, body) = warning_words(&format!("<b>\n{}", "z".repeat(500)));
        assert!(body.starts_with("‹b›⟨U+000A⟩zzz") && body.chars().count() < 200, "{body}");
    }

    #[test]
    fn carries_no_markup_no_tricks_and_no_essay() {
        let what = format!("<a href=\"x\">Pay\u{202E}\nnow</a> & {}", "z".repeat(10_000));
        let (title, body) = words(&ApprovalCard { what, amount: "9".repeat(500), ..card() });
        assert!(title.chars().count() <= TITLE_CHARS + 1);
        assert!(body.chars().count() <= 2 * LINE_CHARS + 40, "{}", body.chars().count());
        assert!(body.starts_with("‹a href=\"x\"›Pay⟨U+202E⟩⟨U+000A⟩now‹/a› ＆ zzz"), "{body}");
        assert_eq!(body.lines().count(), 2);
    }

    #[test]
    fn tells_nothing_the_agent_wrote_and_no_address_with_a_key() {
        let (title, body) = words(&card());
        assert!(!format!("{title}{body}").contains("own words"));
        assert!(!body.contains("hidden"));
    }

    #[test]
    fn a_burst_is_told_once_more_and_together() {
        let start = Instant::now();
        let mut bursts = Bursts::default();
        assert!(bursts.asked(start));
        assert_eq!(bursts.due(), None);
        for ms in [10, 900, 4_999] {
            assert!(!bursts.asked(start + Duration::from_millis(ms)));
        }
        assert_eq!(bursts.due(), Some(start + BURST));
        bursts.told(start + BURST);
        assert_eq!(bursts.due(), None);
        assert!(!bursts.asked(start + BURST + Duration::from_millis(1)), "the burst goes on");
    }

    #[test]
    fn a_thousand_questions_make_few_notifications() {
        let start = Instant::now();
        let (mut bursts, mut told) = (Bursts::default(), 0);
        for n in 0..1_000 {
            let now = start + Duration::from_millis(n * 10);
            if bursts.due().is_some_and(|due| due <= now) {
                bursts.told(now);
                told += 1;
            }
            told += u32::from(bursts.asked(now));
        }
        assert!(told <= 3, "{told} notifications in ten seconds");
    }

    #[test]
    fn a_lone_question_after_quiet_is_told_at_once() {
        let start = Instant::now();
        let mut bursts = Bursts::default();
        assert!(bursts.asked(start));
        assert!(bursts.asked(start + BURST));
    }

    #[test]
    fn missed_questions_are_told_of() {
        let mut bursts = Bursts::default();
        bursts.missed();
        assert!(bursts.due().is_some());
    }
}
