//! What Linux' session manager tells: that the computer goes to sleep, and that the screen of this
//! user's session was locked or another session is in front of it.

use crate::desk::Desk;
use crate::locks::SystemEvent;
use futures::StreamExt;
use std::collections::HashMap;
use zbus::message::Type;
use zbus::zvariant::{ObjectPath, OwnedFd, OwnedObjectPath, OwnedValue};
use zbus::{Connection, MatchRule, Message, MessageStream, Proxy};

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const SESSION: &str = "org.freedesktop.login1.Session";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const PATH: &str = "/org/freedesktop/login1";
/// How many signals may wait to be heard.
const QUEUE: usize = 16;

/// Locks when the system says so, for as long as it speaks; calls `hears` once it is listened to.
///
/// # Errors
/// When there is no system bus, or no session manager on it.
pub(crate) async fn follow(desk: &Desk, hears: impl Fn()) -> zbus::Result<()> {
    let bus = Connection::system().await?;
    let manager = Proxy::new(&bus, LOGIND, PATH, MANAGER).await?;
    let mut sleeps = signals(&bus, MANAGER, "PrepareForSleep").await?;
    let mut locks = signals(&bus, SESSION, "Lock").await?;
    let mut changes = signals(&bus, PROPERTIES, "PropertiesChanged").await?;
    // Held until the vault is locked, so that the computer does not sleep before that.
    let mut delay = delay_sleep(&manager).await;
    hears();
    loop {
        tokio::select! {
            Some(message) = sleeps.next() => {
                if message?.body().deserialize::<bool>()? {
                    desk.on_system_event(SystemEvent::Sleeps).await;
                    delay = None;
                } else if delay.is_none() {
                    delay = delay_sleep(&manager).await;
                }
            }
            Some(message) = locks.next() => {
                if is_own(&bus, &message?).await {
                    desk.on_system_event(SystemEvent::SessionLocked).await;
                }
            }
            Some(message) = changes.next() => {
                let message = message?;
                if leaves_the_screen(&message) && is_own(&bus, &message).await {
                    desk.on_system_event(SystemEvent::SessionLocked).await;
                }
            }
            else => return Err(zbus::Error::Failure("the session manager went away".into())),
        }
    }
}

async fn signals(
    bus: &Connection,
    interface: &'static str,
    member: &'static str,
) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(LOGIND)?
        .interface(interface)?
        .member(member)?
        .build();
    MessageStream::for_match_rule(rule, bus, Some(QUEUE)).await
}

/// Asks for sleep to wait. Without leave for it the vault is locked all the same, if maybe only
/// after the computer wakes.
async fn delay_sleep(manager: &Proxy<'_>) -> Option<OwnedFd> {
    let words = ("sleep", "Imprest", "The vault is locked first", "delay");
    let delay = manager.call("Inhibit", &words).await;
    delay.inspect_err(|error| tracing::debug!(%error, "sleep does not wait")).ok()
}

/// Whether a session says that its screen was locked, or that another one is in front. Desktops that
/// lock by themselves tell of it so, and not by the signal that asks them to lock.
fn leaves_the_screen(message: &Message) -> bool {
    type Changed = (String, HashMap<String, OwnedValue>, Vec<String>);
    let body = message.body();
    let Ok((interface, changed, _)) = body.deserialize::<Changed>() else { return false };
    let becomes = |name: &str, value: bool| {
        changed.get(name).is_some_and(|now| bool::try_from(now).is_ok_and(|now| now == value))
    };
    interface == SESSION && (becomes("LockedHint", true) || becomes("Active", false))
}

/// Whether a session that was locked belongs to the user this desk runs as. One that cannot be
/// asked any more counts as ours: locking once too often harms nobody.
async fn is_own(bus: &Connection, message: &Message) -> bool {
    let header = message.header();
    let Some(path) = header.path() else { return false };
    match owner_of(bus, path).await {
        Ok(user) => user == rustix::process::getuid().as_raw(),
        Err(error) => {
            tracing::debug!(%error, "a locked session does not say whose it is");
            true
        }
    }
}

async fn owner_of(bus: &Connection, session: &ObjectPath<'_>) -> zbus::Result<u32> {
    let session = Proxy::new(bus, LOGIND, session.to_owned(), SESSION).await?;
    let (user, _): (u32, OwnedObjectPath) = session.get_property("User").await?;
    Ok(user)
}
