use super::*;
use alloy_primitives::Address;
use proptest::prelude::*;

fn units(n: u128) -> Units {
    Units::new(n).expect("fits")
}

fn start() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

fn after(minutes: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minutes)
}

fn payee() -> Subject {
    Subject::Payee { origin: "https://shop.example".into() }
}

fn signal(seq: u64, minutes: i64, kind: SignalKind, subject: Subject) -> Signal {
    Signal { seq, at: after(minutes), kind, subject, detail: format!("{} was seen", kind.word()) }
}

fn level(signals: &[Signal], acks: &[Ack], minutes: i64) -> Danger {
    let folded = fold(signals, acks, after(minutes));
    folded.get(&payee()).copied().unwrap_or_default()
}

const DAY: i64 = 24 * 60;

/// When danger is down at calm, wary and guarded, in minutes after the start.
fn lowers(signals: &[Signal], acks: &[Ack], minutes: i64) -> [Option<i64>; 3] {
    let found = lowers_at(signals, acks, &[Subject::Desk, payee()], after(minutes));
    [Danger::Calm, Danger::Wary, Danger::Guarded]
        .map(|level| found.to(level).map(|at| at.duration_since(start()).as_mins()))
}

#[test]
fn what_ends_by_quiet_says_when() {
    use SignalKind::*;
    let (jump, desk) = (|seq, at| signal(seq, at, PriceJumped, payee()), Subject::Desk);
    assert_eq!(lowers(&[], &[], 7), [Some(7); 3], "it is calm");
    assert_eq!(lowers(&[jump(1, 0)], &[], 60), [Some(DAY), Some(60), Some(60)]);
    assert_eq!(lowers(&[jump(1, 0), jump(2, 90)], &[], 100)[0], Some(DAY + 90), "the last one");
    // What waits for the owner has no moment, and holds back what would end by quiet.
    let both = [jump(1, 0), signal(2, 5, PayToChanged, payee())];
    assert_eq!(lowers(&both, &[], 10), [None, None, Some(10)]);
    let seen = [Ack { seq: 2, at: after(9) }];
    assert_eq!(lowers(&both, &seen, 10), [Some(DAY), Some(10), Some(10)]);
    // Books and chain agree again: an hour is left.
    let differ = [signal(3, 0, BooksDiffer, desk.clone())];
    assert_eq!(lowers(&differ, &[], 1), [None, None, Some(1)]);
    let agreed = [Ack { seq: 3, at: after(20) }];
    assert_eq!(lowers(&differ, &agreed, 30), [Some(80), Some(80), Some(30)]);
    let halted = [signal(4, 0, BooksBroken, desk)];
    assert_eq!(lowers(&halted, &[], 1), [None; 3]);
    // Another payee's price is not this one's.
    let other = Subject::Payee { origin: "https://other.example".into() };
    assert_eq!(lowers(&[signal(5, 0, PriceJumped, other)], &[], 1), [Some(1); 3]);
}

#[test]
fn words_read_back_and_are_what_serde_writes() {
    for (i, kind) in SignalKind::ALL.into_iter().enumerate() {
        assert_eq!(SignalKind::from_word(kind.word()), Some(kind));
        let json = serde_json::to_string(&kind).expect("written");
        assert_eq!(json, format!("\"{}\"", kind.word()));
        assert_eq!(kind as usize, i, "every kind is listed, in order");
    }
    assert_eq!(SignalKind::from_word("calm"), None);
    assert_eq!(SignalKind::ClockBehind as usize + 1, SignalKind::ALL.len());
}

#[test]
fn each_kind_has_its_level_and_its_end() {
    use Clears::*;
    use SignalKind::*;
    let table = [
        (PriceJumped, Danger::Wary, Quiet { hours: 24 }),
        (PriceSoared, Danger::Guarded, Acknowledged),
        (PayToChanged, Danger::Guarded, Acknowledged),
        (Undelivered, Danger::Guarded, Acknowledged),
        (RefusalBurst, Danger::Guarded, Acknowledged),
        (CredentialElsewhere, Danger::Halted, Acknowledged),
        (BooksDiffer, Danger::Guarded, Agreement { hours: 1 }),
        (BooksBroken, Danger::Halted, Acknowledged),
        (RolledBack, Danger::Halted, Acknowledged),
        (ClockBehind, Danger::Guarded, Agreement { hours: 0 }),
    ];
    assert_eq!(table.map(|(kind, ..)| kind), SignalKind::ALL);
    for (kind, level, clears) in table {
        assert_eq!((kind.level(), kind.clears()), (level, clears), "{kind:?}");
    }
}

#[test]
fn subjects_have_one_text_each() {
    let asset = AssetId { chain_id: 8453, contract: Address::repeat_byte(0xab) };
    let agent: AgentId = "agt_1".parse().expect("an id");
    for (subject, text) in [
        (Subject::Desk, "desk"),
        (Subject::Network { chain_id: 8453 }, "network eip155:8453"),
        (
            Subject::Token { asset },
            "token eip155:8453/erc20:0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
        ),
        (payee(), "payee https://shop.example"),
        (Subject::Agent { agent: agent.clone() }, "agent agt_1"),
    ] {
        assert_eq!(subject.to_string(), text);
        assert_eq!(text.parse(), Ok(subject.clone()));
        let json = serde_json::to_string(&subject).expect("written");
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Subject>(&json).expect("read"), subject);
    }
    for bad in [
        "",
        "Desk",
        "desk ",
        " desk",
        "network",
        "network 8453",
        "network eip155:08453",
        "network eip155:+1",
        "network eip155:-1",
        "network eip155:18446744073709551616",
        "token eip155:8453/erc20:0xabababababababababababababababababababab",
        "token eip155:8453/erc20:ABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
        "token 0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
        "payee",
        "agent pay_1",
        "agent ",
        "owner me",
    ] {
        let error = bad.parse::<Subject>().expect_err(bad);
        assert_eq!(error.text, bad.chars().take(80).collect::<String>());
    }
    let payee = Payee { origin: "https://shop.example".into(), pay_to: Address::ZERO, asset };
    let texts = Subject::of_payment(&agent, &payee).map(|subject| subject.to_string());
    assert_eq!(texts[0], "desk");
    assert_eq!(texts[1..3], ["network eip155:8453".to_owned(), format!("token {asset}")]);
    assert_eq!(texts[3..], ["payee https://shop.example", "agent agt_1"]);
}

#[test]
fn a_jump_is_forgotten_after_a_quiet_day() {
    let jump = |seq, minutes| signal(seq, minutes, SignalKind::PriceJumped, payee());
    let one = [jump(1, 0)];
    assert_eq!(level(&one, &[], 0), Danger::Wary);
    assert_eq!(level(&one, &[], DAY - 1), Danger::Wary);
    assert_eq!(level(&one, &[], DAY), Danger::Calm);
    assert!(!is_over(&one[0], None, after(DAY - 1)) && is_over(&one[0], None, after(DAY)));
    // Another one starts the day anew.
    let two = [jump(1, 0), jump(2, 600)];
    assert_eq!(level(&two, &[], DAY), Danger::Wary);
    assert_eq!(level(&two, &[], DAY + 600), Danger::Calm);
    // Twice the same small thing is still a small thing; and only quiet ends it.
    assert_eq!(level(&two, &[], 600), Danger::Wary);
    assert_eq!(level(&one, &[Ack { seq: 1, at: after(1) }], 2), Danger::Wary);
}

#[test]
fn a_sticky_signal_waits_for_the_owner() {
    let sticky = [signal(7, 0, SignalKind::PayToChanged, payee())];
    assert_eq!(level(&sticky, &[], 400 * DAY), Danger::Guarded);
    let ack = Ack { seq: 7, at: after(60) };
    assert_eq!(level(&sticky, &[ack], 59), Danger::Guarded, "an answer from later");
    assert_eq!(level(&sticky, &[ack], 60), Danger::Calm);
    assert_eq!(level(&sticky, &[Ack { seq: 8, at: after(0) }], 60), Danger::Guarded);
    // The same seen again is another signal.
    let again = [sticky[0].clone(), signal(8, 90, SignalKind::PayToChanged, payee())];
    assert_eq!(level(&again, &[ack], 91), Danger::Guarded);
    assert!(is_over(&sticky[0], Some(&ack), after(60)));
    assert!(!is_over(&again[1], Some(&ack), after(91)), "the answer to another");
}

#[test]
fn books_must_agree_for_an_hour_and_a_clock_at_once() {
    let differ = [signal(1, 0, SignalKind::BooksDiffer, payee())];
    let agreed = [Ack { seq: 1, at: after(10) }];
    assert_eq!(level(&differ, &[], 1_000), Danger::Guarded);
    assert_eq!(level(&differ, &agreed, 69), Danger::Guarded);
    assert_eq!(level(&differ, &agreed, 70), Danger::Calm);
    // A second agreement does not start the hour anew.
    let twice = [Ack { seq: 1, at: after(60) }, agreed[0]];
    assert_eq!(level(&differ, &twice, 70), Danger::Calm);
    let clock = [signal(1, 0, SignalKind::ClockBehind, payee())];
    assert_eq!(level(&clock, &agreed, 9), Danger::Guarded);
    assert_eq!(level(&clock, &agreed, 10), Danger::Calm);
}

#[test]
fn two_different_small_things_within_a_day_are_one_larger() {
    let seen = |kind, minutes, level| Seen { kind, fresh: Danger::Wary, level, at: after(minutes) };
    // Only one kind is that small today, so another is made up here.
    let (a, b) = (SignalKind::PriceJumped, SignalKind::Undelivered);
    let wary = Danger::Wary;
    assert_eq!(combined(&[seen(a, 0, wary), seen(b, DAY, wary)]), Danger::Guarded);
    assert_eq!(combined(&[seen(b, DAY, wary), seen(a, 0, wary)]), Danger::Guarded);
    assert_eq!(combined(&[seen(a, 0, wary), seen(b, DAY + 1, wary)]), Danger::Wary);
    assert_eq!(combined(&[seen(a, 0, wary), seen(a, 1, wary)]), Danger::Wary);
    // Something larger is not made larger still, and what shrank to small is not small.
    let halted = Seen { kind: b, fresh: Danger::Halted, level: Danger::Halted, at: after(0) };
    assert_eq!(combined(&[seen(a, 0, wary), halted]), Danger::Halted);
    let shrunk = Seen { kind: b, fresh: Danger::Guarded, level: wary, at: after(0) };
    assert_eq!(combined(&[seen(a, 0, wary), shrunk]), Danger::Wary);
    assert_eq!(combined(&[]), Danger::Calm);
}

#[test]
fn a_payment_is_in_the_danger_of_its_worst_subject() {
    let agent = Subject::Agent { agent: "agt_1".parse().expect("an id") };
    let other = Subject::Agent { agent: "agt_2".parse().expect("an id") };
    let signals = [
        signal(1, 0, SignalKind::PriceJumped, payee()),
        signal(2, 1, SignalKind::RefusalBurst, agent.clone()),
        signal(3, 2, SignalKind::CredentialElsewhere, other.clone()),
        signal(4, 3, SignalKind::PriceSoared, payee()),
        signal(5, 3, SignalKind::PayToChanged, payee()),
    ];
    let seqs = |subjects: &[Subject], acks: &[Ack]| {
        let (danger, why) = danger_for(&signals, acks, subjects, after(5));
        (danger, why.iter().map(|s| s.seq).collect::<Vec<_>>())
    };
    let subjects = [Subject::Desk, payee(), agent.clone()];
    assert_eq!(seqs(&subjects, &[]), (Danger::Guarded, vec![5, 4, 2, 1]));
    let ack = |seq| Ack { seq, at: after(4) };
    assert_eq!(seqs(&subjects, &[ack(5), ack(2), ack(4)]), (Danger::Wary, vec![1]));
    assert_eq!(seqs(&[other, payee()], &[]), (Danger::Halted, vec![3, 5, 4, 1]));
    // One subject alone is in the danger of its own signals.
    assert_eq!(seqs(&[payee()], &[]), (Danger::Guarded, vec![5, 4, 1]));
    assert_eq!(seqs(&[agent], &[ack(2)]), (Danger::Calm, vec![]));
    assert_eq!(seqs(&[Subject::Desk], &[]), (Danger::Calm, vec![]));
    assert_eq!(seqs(&[], &[]), (Danger::Calm, vec![]));
    // Only what is in danger is listed.
    assert_eq!(fold(&signals, &[ack(2)], after(5)).len(), 2);
}

#[test]
fn prices_jump_above_twice_and_soar_above_five_times() {
    use SignalKind::{PriceJumped, PriceSoared};
    let said = |value, usual| price_signal(units(value), Some(units(usual)));
    assert_eq!(said(20, 10), None);
    assert_eq!(said(21, 10), Some(PriceJumped));
    assert_eq!(said(50, 10), Some(PriceJumped));
    assert_eq!(said(51, 10), Some(PriceSoared));
    assert_eq!(said(1, 0), Some(PriceSoared));
    assert_eq!(said(0, 0), None);
    assert_eq!(price_signal(Units::MAX, None), None);
    assert_eq!(price_signal(Units::MAX, Some(Units::MAX)), None);
}

#[test]
fn the_usual_price_is_the_lower_median_of_three_or_more() {
    let of = |values: &[u128]| median(&values.iter().copied().map(units).collect::<Vec<_>>());
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[1, 2]), None);
    assert_eq!(of(&[9, 1, 5]), Some(units(5)));
    assert_eq!(of(&[9, 1, 5, 7]), Some(units(5)));
    assert_eq!(of(&[3, 3, 3, 1_000]), Some(units(3)));
}

fn any_subject() -> impl Strategy<Value = Subject> {
    prop::sample::select(vec![Subject::Desk, payee(), Subject::Network { chain_id: 1 }])
}

fn any_signals() -> impl Strategy<Value = Vec<Signal>> {
    let one = (0i64..3 * DAY, prop::sample::select(SignalKind::ALL.to_vec()), any_subject());
    prop::collection::vec(one, 0..10).prop_map(|all| {
        let numbered = (1u64..).zip(all);
        numbered.map(|(seq, (at, kind, subject))| signal(seq, at, kind, subject)).collect()
    })
}

fn any_acks() -> impl Strategy<Value = Vec<Ack>> {
    let one = (1u64..10, 0i64..4 * DAY).prop_map(|(seq, at)| Ack { seq, at: after(at) });
    prop::collection::vec(one, 0..6)
}

/// Every subject's level at a time.
fn levels(signals: &[Signal], acks: &[Ack], now: i64) -> [Danger; 3] {
    let folded = fold(signals, acks, after(now));
    [Subject::Desk, payee(), Subject::Network { chain_id: 1 }]
        .map(|subject| folded.get(&subject).copied().unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Seeing more never lowers a level, and answering more never raises one.
    #[test]
    fn more_seen_never_lowers_and_more_answered_never_raises(
        signals in any_signals(),
        acks in any_acks(),
        seen in (0i64..3 * DAY, prop::sample::select(SignalKind::ALL.to_vec()), any_subject()),
        answered in (1u64..10, 0i64..4 * DAY),
        now in 0i64..6 * DAY,
    ) {
        let before = levels(&signals, &acks, now);
        let mut more = signals.clone();
        more.push(signal(100, seen.0, seen.1, seen.2));
        let after_seeing = levels(&more, &acks, now);
        prop_assert!(before.iter().zip(after_seeing).all(|(before, after)| after >= *before));
        let mut answers = acks.clone();
        answers.push(Ack { seq: answered.0, at: after(answered.1) });
        let after_answer = levels(&signals, &answers, now);
        prop_assert!(before.iter().zip(after_answer).all(|(before, after)| after <= *before));
    }

    /// The order in which things are read does not matter, nor does leaving out what is over.
    #[test]
    fn a_replay_comes_to_the_same(
        signals in any_signals().prop_shuffle(),
        acks in any_acks().prop_shuffle(),
        now in 0i64..6 * DAY,
        later in 0i64..6 * DAY,
    ) {
        let mut in_order = signals.clone();
        in_order.sort_by_key(|s| s.seq);
        let mut acks_in_order = acks.clone();
        acks_in_order.sort_by_key(|ack| (ack.seq, ack.at));
        prop_assert_eq!(
            fold(&signals, &acks, after(now)),
            fold(&in_order, &acks_in_order, after(now))
        );
        let given = |s: &Signal| acks_in_order.iter().find(|ack| ack.seq == s.seq);
        let left: Vec<_> =
            signals.iter().filter(|s| !is_over(s, given(s), after(now))).cloned().collect();
        for then in [now, now + later] {
            prop_assert_eq!(fold(&left, &acks, after(then)), fold(&signals, &acks, after(then)));
        }
    }

    /// Without an answer, no time takes a sticky signal away, and time alone never raises.
    #[test]
    fn no_unacknowledged_fall(signals in any_signals(), acks in any_acks(), now in 3 * DAY..900 * DAY) {
        let folded = fold(&signals, &acks, after(now));
        for s in &signals {
            let answered = acks.iter().any(|ack| ack.seq == s.seq);
            if !answered && !matches!(s.kind.clears(), Clears::Quiet { .. }) {
                let level = folded.get(&s.subject).copied().unwrap_or_default();
                prop_assert!(level >= s.kind.level(), "{s:?}");
            }
        }
        let (now_levels, later) = (levels(&signals, &acks, now), levels(&signals, &acks, now + 7));
        prop_assert!(now_levels.iter().zip(later).all(|(now, later)| later <= *now));
    }

    /// The fold is the highest of what is left, told again from the table.
    #[test]
    fn the_fold_is_the_highest_by_brute_force(
        signals in any_signals(),
        acks in any_acks(),
        now in 0i64..6 * DAY,
    ) {
        let left = |s: &Signal| {
            let answers = acks.iter().filter(|ack| ack.seq == s.seq);
            let answered = |wait: i64| {
                answers.clone().any(|ack| ack.at + SignedDuration::from_mins(wait) <= after(now))
            };
            let over = match s.kind {
                SignalKind::PriceJumped => after(now) >= s.at + SignedDuration::from_mins(DAY),
                SignalKind::BooksDiffer => answered(60),
                _ => answered(0),
            };
            if over { Danger::Calm } else { s.kind.level() }
        };
        let subjects = [Subject::Desk, payee(), Subject::Network { chain_id: 1 }];
        let expected = subjects.clone().map(|subject| {
            let own = signals.iter().filter(|s| s.subject == subject);
            own.map(left).max().unwrap_or_default()
        });
        prop_assert_eq!(levels(&signals, &acks, now), expected);
        let (danger, why) = danger_for(&signals, &acks, &subjects, after(now));
        prop_assert_eq!(Some(danger), expected.into_iter().max());
        prop_assert_eq!(why.len(), signals.iter().filter(|s| left(s) > Danger::Calm).count());
        prop_assert!(why.is_sorted_by_key(|s| std::cmp::Reverse(left(s))));
        prop_assert_eq!(why.first().map(|s| left(s)).unwrap_or_default(), danger);
    }

    /// Whatever an origin is, it reads back; and no text makes reading panic.
    #[test]
    fn every_origin_reads_back(origin in ".{0,40}", text in ".{0,60}") {
        let subject = Subject::Payee { origin };
        prop_assert_eq!(subject.to_string().parse(), Ok(subject));
        if let Ok(subject) = text.parse::<Subject>() {
            prop_assert_eq!(subject.to_string(), text);
        }
    }
}
