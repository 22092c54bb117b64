//! Names of files: which are certain to survive, and which changes are only on their way.

use crate::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};

/// A file, whatever it is called.
pub(crate) type FileId = u64;

/// One change to the names, in the order in which it was asked for.
#[derive(Debug, Clone)]
enum Entry {
    Link { name: String, file: FileId },
    Unlink { name: String },
    Rename { from: String, to: String, file: FileId },
}

impl Entry {
    fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Entry::Link { name, file } => {
                names.insert(name.clone(), *file);
            }
            Entry::Unlink { name } => {
                names.remove(name);
            }
            Entry::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
        }
    }

    fn is_in(&self, folder: &str) -> bool {
        match self {
            Entry::Link { name, .. } | Entry::Unlink { name } => folder_of(name) == folder,
            Entry::Rename { from, to, .. } => folder_of(from) == folder || folder_of(to) == folder,
        }
    }

    /// The name that this change gives to the file.
    fn name_of(&self, wanted: FileId) -> Option<&str> {
        match self {
            Entry::Link { name, file } | Entry::Rename { to: name, file, .. } => {
                (*file == wanted).then_some(name)
            }
            Entry::Unlink { .. } => None,
        }
    }
}

/// The path as this disk keeps it: from the root, without `.`, `..` and doubled slashes.
pub(crate) fn full_path(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// All the names of a disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    seen: BTreeMap<String, FileId>,
    platter: BTreeMap<String, FileId>,
    /// What `seen` has and `platter` has not, oldest first.
    entries: Vec<Entry>,
}

impl Directory {
    /// Names that lie on the platter as they are.
    pub(crate) fn on_platter(names: BTreeMap<String, FileId>) -> Directory {
        Directory { seen: names.clone(), platter: names, entries: Vec::new() }
    }

    pub(crate) fn find(&self, name: &str) -> Option<FileId> {
        self.seen.get(name).copied()
    }

    pub(crate) fn find_durable(&self, name: &str) -> Option<FileId> {
        self.platter.get(name).copied()
    }

    pub(crate) fn seen(&self) -> &BTreeMap<String, FileId> {
        &self.seen
    }

    pub(crate) fn durable(&self) -> &BTreeMap<String, FileId> {
        &self.platter
    }

    pub(crate) fn link(&mut self, name: String, file: FileId) {
        self.change(Entry::Link { name, file });
    }

    pub(crate) fn unlink(&mut self, name: &str) {
        self.change(Entry::Unlink { name: name.to_owned() });
    }

    /// Gives a file another name in one step; tells whether there was one.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(file) = self.find(from) else { return false };
        if from != to {
            self.change(Entry::Rename { from: from.to_owned(), to: to.to_owned(), file });
        }
        true
    }

    fn change(&mut self, entry: Entry) {
        entry.apply(&mut self.seen);
        self.entries.push(entry);
    }

    /// Brings every change in the folder of `name` to the platter, as a sync of the folder does.
    pub(crate) fn sync_folder_of(&mut self, name: &str) {
        let folder = folder_of(name);
        let platter = &mut self.platter;
        self.entries.retain(|entry| {
            let here = entry.is_in(folder);
            if here {
                entry.apply(platter);
            }
            !here
        });
    }

    /// What a sync of a file does for its name: when the name is not on the platter yet, its
    /// folder is synced.
    pub(crate) fn sync_name_of(&mut self, file: FileId) {
        let name = self.entries.iter().rev().find_map(|entry| entry.name_of(file));
        if let Some(name) = name.map(str::to_owned) {
            self.sync_folder_of(&name);
        }
    }

    /// Every file that has a name now, or may have one after a power cut.
    pub(crate) fn reachable(&self) -> BTreeSet<FileId> {
        // A file whose link is on its way is also in `seen`, or its unlink is on its way too.
        let pending = self.entries.iter().filter_map(|entry| match entry {
            Entry::Link { file, .. } | Entry::Rename { file, .. } => Some(*file),
            Entry::Unlink { .. } => None,
        });
        self.seen.values().chain(self.platter.values()).copied().chain(pending).collect()
    }

    /// The names that a power cut leaves: each change is made whole or not at all.
    pub(crate) fn after_cut(&self, dice: &mut Dice) -> BTreeMap<String, FileId> {
        let keep_percent = [0, 50, 100][dice.below(3)];
        let mut names = self.platter.clone();
        for entry in &self.entries {
            if dice.percent(keep_percent) {
                entry.apply(&mut names);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All the ways in which a power cut may leave a name.
    fn outcomes(directory: &Directory, name: &str) -> BTreeSet<Option<FileId>> {
        (0..300).map(|seed| directory.after_cut(&mut Dice::new(seed)).get(name).copied()).collect()
    }

    #[test]
    fn a_new_name_is_durable_after_a_sync_of_its_file() {
        let mut directory = Directory::default();
        directory.link("/a".into(), 1);
        assert_eq!(outcomes(&directory, "/a"), [None, Some(1)].into());
        directory.sync_name_of(1);
        assert_eq!(outcomes(&directory, "/a"), [Some(1)].into());
        assert_eq!(directory.find_durable("/a"), Some(1));
    }

    #[test]
    fn a_deleted_name_may_come_back_until_its_folder_is_synced() {
        let mut directory = Directory::on_platter([("/d/a".to_owned(), 1)].into());
        directory.unlink("/d/a");
        assert_eq!(directory.find("/d/a"), None);
        assert_eq!(outcomes(&directory, "/d/a"), [None, Some(1)].into());
        directory.sync_folder_of("/elsewhere/b");
        assert!(outcomes(&directory, "/d/a").contains(&Some(1)));
        assert!(directory.reachable().contains(&1));
        // The first sync of another new file in the same folder carries it along.
        directory.link("/d/b".into(), 2);
        directory.sync_name_of(2);
        assert_eq!(outcomes(&directory, "/d/a"), [None].into());
        assert_eq!(directory.reachable(), [2].into());
    }

    #[test]
    fn a_rename_happens_whole_or_not_at_all() {
        let mut directory =
            Directory::on_platter([("/a".to_owned(), 1), ("/b".to_owned(), 2)].into());
        assert!(directory.rename("/a", "/b"));
        assert!(!directory.rename("/nothing", "/b"));
        for seed in 0..100 {
            let names = directory.after_cut(&mut Dice::new(seed));
            let pair = (names.get("/a").copied(), names.get("/b").copied());
            assert!([(Some(1), Some(2)), (None, Some(1))].contains(&pair), "{pair:?}");
        }
        directory.sync_name_of(1);
        assert_eq!(outcomes(&directory, "/b"), [Some(1)].into());
    }

    #[test]
    fn a_path_is_kept_from_the_root() {
        for (path, full) in
            [("a", "/a"), ("/a//b/./c", "/a/b/c"), ("/a/../../b", "/b"), ("./x", "/x")]
        {
            assert_eq!(full_path(path), full);
        }
        assert_eq!((folder_of("/a/b"), folder_of("/a"), folder_of("a")), ("/a", "", ""));
    }
}
