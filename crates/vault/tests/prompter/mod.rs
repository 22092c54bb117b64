//! The program that asks the owner of GNOME's keyring, with an owner of the test's.
//!
//! gnome-keyring speaks to it over the bus (`org.gnome.keyring.internal.Prompter`, as in gcr's own
//! sources): it begins, is told that the prompter is ready, asks, and is told the answer.

use std::collections::HashMap;
use zbus::blocking::{Connection, MessageIterator};
use zbus::message::{Message, Type};
use zbus::zvariant::{ObjectPath, Value};

const CALLBACK: &str = "org.gnome.keyring.internal.Prompter.Callback";

/// What the owner does at the question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Presses cancel.
    SaysNo,
    /// Is not there.
    IsAway,
}

/// Puts a prompter on this session's bus, for as long as this process lives.
pub fn start(owner: Owner) {
    let bus = Connection::session().expect("the session's bus");
    let calls = MessageIterator::from(bus.clone());
    bus.request_name("org.gnome.keyring.SystemPrompter").expect("nobody else asks");
    std::thread::spawn(move || {
        for call in calls.flatten().filter(|call| call.message_type() == Type::MethodCall) {
            answer(&bus, owner, &call).expect("an answer");
        }
    });
}

fn answer(bus: &Connection, owner: Owner, call: &Message) -> zbus::Result<()> {
    let header = call.header();
    let Some(method) = header.member() else { return Ok(()) };
    // Returned from first: the caller does not listen before.
    bus.reply(&header, &())?;
    let body = call.body();
    let (path, says) = match method.as_str() {
        "BeginPrompting" => (body.deserialize::<ObjectPath<'_>>()?, ""),
        "PerformPrompt" if owner == Owner::SaysNo => {
            let (path, ..): (ObjectPath<'_>, &str, HashMap<&str, Value<'_>>, &str) =
                body.deserialize()?;
            (path, "no")
        }
        _ => return Ok(()),
    };
    let properties: HashMap<&str, Value<'_>> = HashMap::new();
    let ready = (says, properties, "");
    bus.call_method(header.sender().cloned(), path, Some(CALLBACK), "PromptReady", &ready)?;
    Ok(())
}
