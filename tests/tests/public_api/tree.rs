//! The modules of a crate, read from its sources.

use std::collections::BTreeMap;
use std::path::Path;

use syn::{Attribute, Item, Visibility};

/// A module with what is in it.
pub(crate) struct Module {
    pub(crate) is_public: bool,
    /// Behind which features it is there, as its attributes say.
    pub(crate) condition: String,
    pub(crate) items: Vec<Item>,
    pub(crate) modules: BTreeMap<String, Module>,
}

/// Whether an item is there only in tests.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    conditions(attributes).contains("(test)") || conditions(attributes).contains("(doctest)")
}

/// The conditions of an item, as they are written.
pub(crate) fn conditions(attributes: &[Attribute]) -> String {
    let of = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    of.map(|attribute| format!("{} ", super::list::text(attribute)))
        .collect()
}

impl Module {
    /// Reads a crate from its first file.
    pub(crate) fn read(root: &Path) -> Self {
        let folder = root.parent().unwrap();
        let text = std::fs::read_to_string(root).unwrap();
        Self::of(&text, &|path: &str| {
            let file = folder.join(format!("{path}.rs"));
            let folder = folder.join(path).join("mod.rs");
            std::fs::read_to_string(file)
                .or_else(|_| std::fs::read_to_string(folder))
                .ok()
        })
    }

    /// Reads a crate from the text of its first file; `find` gives that of a module by its path.
    pub(crate) fn of(text: &str, find: &dyn Fn(&str) -> Option<String>) -> Self {
        let items = syn::parse_file(text).unwrap().items;
        Self::with("", true, String::new(), items, find)
    }

    fn with(
        path: &str,
        is_public: bool,
        condition: String,
        all: Vec<Item>,
        find: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let (mut items, mut modules) = (Vec::new(), BTreeMap::new());
        for item in all {
            let Item::Mod(module) = item else {
                items.push(item);
                continue;
            };
            if is_test(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            let inside = match module.content {
                Some((_, items)) => items,
                None => syn::parse_file(&find(&path).unwrap()).unwrap().items,
            };
            let is_public = matches!(module.vis, Visibility::Public(_));
            let module = Self::with(&path, is_public, conditions(&module.attrs), inside, find);
            modules.insert(name, module);
        }
        Self {
            is_public,
            condition,
            items,
            modules,
        }
    }

    /// This module and all in it.
    pub(crate) fn all(&self) -> Vec<&Self> {
        let below = self.modules.values().flat_map(Self::all);
        std::iter::once(self).chain(below).collect()
    }
}
