//! `imprest-model`: visits every state of the money path, then looks for every seeded fault.

mod report;

use clap::Parser;
use imprest_model::{
    Action, ENDLESS_SETTING, Fault, Happening, Hunt, LONG_SETTINGS, Search, find, hunt, search,
    search_until,
};
use std::process::ExitCode;

/// The most threads it takes unasked.
const THREADS_MAX: usize = 8;

#[derive(Parser)]
#[command(name = "imprest-model", version, about)]
struct Args {
    /// How many different states of the correct design to visit, in growing settings.
    ///
    /// A setting that was begun is finished. Beyond 66 million, states of a setting that is too
    /// large to finish are visited; each takes up to 200 bytes of memory.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    states: usize,
    /// How many threads search the correct design; faults are searched by one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    threads: Option<u8>,
    /// One JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Also every step of the shortest way to each fault and each happening.
    #[arg(long)]
    steps: bool,
}

/// Everything that was searched.
struct Findings {
    correct: Vec<Search>,
    /// How many states were wanted.
    wanted: usize,
    /// Each with the shortest way to it, if there is one.
    happenings: Vec<(Happening, Option<Vec<Action>>)>,
    hunts: Vec<Hunt>,
}

impl Findings {
    fn unique_states(&self) -> usize {
        self.correct.iter().map(|search| search.unique_states).sum()
    }

    /// What is not as promised, one sentence each.
    fn disappointments(&self) -> Vec<String> {
        let mut all = Vec::new();
        for search in &self.correct {
            if let Some(breach) = &search.breach {
                let broken = breach.broken;
                all.push(format!("the correct design breaks {broken}: {}", search.setting.name));
            }
        }
        if self.unique_states() < self.wanted {
            all.push(format!("{} states were wanted", report::grouped(self.wanted)));
        }
        for (happening, _) in self.happenings.iter().filter(|(_, way)| way.is_none()) {
            all.push(format!("this never happens: {}", happening.says()));
        }
        for hunt in self.hunts.iter().filter(|hunt| !hunt.found()) {
            all.push(format!("a fault was not found: {}", hunt.fault.says()));
        }
        all
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let threads = args.threads.map_or_else(threads_here, usize::from);
    let tables = !args.json;
    let correct = search_correct(args.states, threads, tables);
    let happenings: Vec<_> =
        Happening::ALL.into_iter().map(|happening| (happening, find(happening))).collect();
    if tables {
        report::happenings(&happenings, args.steps);
    }
    let hunts = hunt_all(tables, args.steps);
    let findings = Findings { correct, wanted: args.states, happenings, hunts };
    let disappointments = findings.disappointments();
    if tables {
        report::summary(&findings, threads, &disappointments);
    } else {
        report::json(&findings, threads, &disappointments);
    }
    if disappointments.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn threads_here() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Growing settings, each visited whole, until there are enough states; if all of them are not
/// enough, as much as is wanted of one that has no end in sight. Stops at the first breach.
fn search_correct(wanted: usize, threads: usize, tables: bool) -> Vec<Search> {
    let mut searches: Vec<Search> = Vec::new();
    if tables {
        report::correct_heading();
    }
    let whole = LONG_SETTINGS.into_iter().map(|setting| (setting, None));
    for (setting, cap) in whole.chain([(ENDLESS_SETTING, Some(wanted))]) {
        let so_far: usize = searches.iter().map(|search| search.unique_states).sum();
        if so_far >= wanted {
            break;
        }
        let search = match cap {
            None => search(setting, threads),
            Some(wanted) => search_until(setting, threads, wanted - so_far),
        };
        if tables {
            report::correct_row(&search);
        }
        let broken = search.breach.is_some();
        searches.push(search);
        if broken {
            break;
        }
    }
    searches
}

fn hunt_all(tables: bool, steps: bool) -> Vec<Hunt> {
    if tables {
        report::hunt_heading();
    }
    let each = Fault::ALL.into_iter().map(|fault| {
        let hunt = hunt(fault);
        if tables {
            report::hunt_row(&hunt, steps);
        }
        hunt
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut correct = search_until(ENDLESS_SETTING, 1, 10);
        correct.unique_states = 10;
        Findings {
            correct: vec![correct],
            wanted: 10,
            happenings: vec![(Happening::Settles, Some(Vec::new()))],
            hunts: vec![hunt(Fault::ForgetsOpenHolds)],
        }
    }

    #[test]
    fn what_is_not_as_promised_is_said() {
        assert_eq!(findings().disappointments(), Vec::<String>::new());
        let spoilt = |spoil: fn(&mut Findings)| {
            let mut findings = findings();
            spoil(&mut findings);
            let said = findings.disappointments();
            assert_eq!(said.len(), 1, "{said:?}");
            said.concat()
        };
        assert!(spoilt(|f| f.wanted = 11).contains("11 states"));
        assert!(spoilt(|f| f.happenings[0].1 = None).contains("never happens"));
        assert!(spoilt(|f| f.hunts[0].meant.breach = None).contains("not found"));
        assert!(spoilt(|f| f.hunts[0].first.breach = None).contains("not found"));
        let breach = spoilt(|f| f.correct[0].breach = f.hunts[0].first.breach.clone());
        assert!(breach.contains("the correct design breaks I1"), "{breach}");
    }

    #[test]
    fn figures_are_readable() {
        let shown = [0, 999, 1_000, 13_868_784].map(report::grouped);
        assert_eq!(shown, ["0", "999", "1,000", "13,868,784"]);
    }

    #[test]
    fn the_default_is_ten_million_states() {
        let args = Args::try_parse_from(["imprest-model"]).expect("no argument is needed");
        assert_eq!(args.states, 10_000_000);
        assert!(Args::try_parse_from(["imprest-model", "--threads", "0"]).is_err());
    }
}
