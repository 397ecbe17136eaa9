//! The lines of a crate's public interface, sorted, each with the path by which it is seen.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, TraitItem, UseTree, Visibility};

use super::tree::{Module, conditions, is_test};

const CRATE: &str = "cuemq_client";

/// Lists the interface of a crate.
pub(crate) fn of(root: &Module) -> String {
    let mut lines = Lines {
        root,
        found: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    lines.module(&mut vec![], root, CRATE);
    lines.found.into_iter().map(|line| line + "\n").collect()
}

/// An item as people write it.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (spaced, close) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" <", "<"),
        (" > ", "> "),
        (" >", ">"),
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("& ", "&"),
        (" :", ":"),
        (" ;", ";"),
        ("# [", "#["),
        ("[ ", "["),
        (" ]", "]"),
        ("! ", "!"),
        (" ?", "?"),
        ("? ", "?"),
        (",)", ")"),
        (",>", ">"),
        ("-> (", "-> ("),
        ("->(", "-> ("),
        ("+(", "+ ("),
        ("=(", "= ("),
        (" = <", " = <"),
        ("&mut<", "&mut <"),
    ] {
        text = text.replace(spaced, close);
    }
    text
}

struct Lines<'a> {
    root: &'a Module,
    found: BTreeSet<String>,
    /// Which items were listed where, since modules may export each other.
    seen: BTreeSet<(String, String)>,
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The names that a `use` brings: the path in the crate or elsewhere, and the name here.
fn uses(tree: &UseTree, path: &mut Vec<String>, out: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            uses(&step.tree, path, out);
            path.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            out.push((path.clone(), path.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => out.push(([&path[..], &[name.ident.to_string()]].concat(), name.ident.to_string())),
        UseTree::Rename(name) => out.push(([&path[..], &[name.ident.to_string()]].concat(), name.rename.to_string())),
        UseTree::Glob(_) => out.push(([&path[..], &["*".to_owned()]].concat(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| uses(tree, path, out)),
    }
}

/// What a name stands for in the crate.
enum Target<'a> {
    Item(&'a Item),
    Module(Vec<String>, &'a Module),
    Elsewhere,
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Struct(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Const(item) => item.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}

fn visibility(item: &Item) -> Option<&Visibility> {
    Some(match item {
        Item::Struct(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Const(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Type(item) => &item.vis,
        _ => return None,
    })
}

/// The attributes that are part of an interface.
fn kept(attributes: &[Attribute]) -> String {
    let names = ["derive", "non_exhaustive", "cfg"];
    let kept = attributes
        .iter()
        .filter(|attribute| names.iter().any(|name| attribute.path().is_ident(name)));
    kept.map(|attribute| format!("{} ", text(attribute))).collect()
}

fn fields(fields: &Fields) -> String {
    let shown = |field: &syn::Field| {
        let name = field
            .ident
            .as_ref()
            .map_or_else(String::new, |name| format!("pub {name}: "));
        format!("{name}{}", text(&field.ty))
    };
    let public: Vec<_> = fields.iter().filter(|field| is_public(&field.vis)).map(shown).collect();
    let rest = if public.len() < fields.len() {
        vec!["..".to_owned()]
    } else {
        vec![]
    };
    let all = [public, rest].concat().join(", ");
    match fields {
        Fields::Named(_) => format!(" {{ {all} }}"),
        Fields::Unnamed(_) => format!("({all});"),
        Fields::Unit => ";".to_owned(),
    }
}

/// An item in one line, without bodies and values.
fn signature(item: &Item) -> String {
    match item {
        Item::Struct(item) => {
            let (head, generics) = (kept(&item.attrs), text(&item.generics));
            format!("{head}pub struct {}{generics}{}", item.ident, fields(&item.fields))
        }
        Item::Enum(item) => {
            let variants = item.variants.iter().map(|variant| {
                let mut variant = variant.clone();
                variant.attrs.clear();
                if let Fields::Named(fields) = &mut variant.fields {
                    fields.named.iter_mut().for_each(|field| field.attrs.clear());
                }
                if let Fields::Unnamed(fields) = &mut variant.fields {
                    fields.unnamed.iter_mut().for_each(|field| field.attrs.clear());
                }
                text(&variant)
            });
            let variants: Vec<_> = variants.collect();
            let (head, generics) = (kept(&item.attrs), text(&item.generics));
            format!("{head}pub enum {}{generics} {{ {} }}", item.ident, variants.join(", "))
        }
        Item::Trait(item) => {
            let bounds = if item.supertraits.is_empty() {
                String::new()
            } else {
                format!(": {}", text(&item.supertraits))
            };
            format!(
                "{}pub trait {}{}{bounds}",
                kept(&item.attrs),
                item.ident,
                text(&item.generics)
            )
        }
        Item::Fn(item) => format!("{}pub {}", kept(&item.attrs), text(&item.sig)),
        Item::Const(item) => format!("pub const {}: {}", item.ident, text(&item.ty)),
        Item::Static(item) => format!("pub static {}: {}", item.ident, text(&item.ty)),
        Item::Type(item) => format!("pub type {}{} = {}", item.ident, text(&item.generics), text(&item.ty)),
        _ => String::new(),
    }
}

impl<'a> Lines<'a> {
    fn add(&mut self, path: &str, line: &str) {
        self.found.insert(format!("{path}: {line}"));
    }

    /// Lists a module; `place` is where it is in the crate, `path` by what it is seen.
    fn module(&mut self, place: &mut Vec<String>, module: &'a Module, path: &str) {
        if !self.seen.insert((place.join("::"), path.to_owned())) {
            return;
        }
        for (name, inner) in module.modules.iter().filter(|(_, inner)| inner.is_public) {
            let path = format!("{path}::{name}");
            self.add(&path, &format!("{}pub mod", inner.condition));
            place.push(name.clone());
            self.module(place, inner, &path);
            place.pop();
        }
        for item in &module.items {
            match item {
                Item::Use(item) if is_public(&item.vis) && !is_test(&item.attrs) => {
                    let mut names = Vec::new();
                    uses(&item.tree, &mut vec![], &mut names);
                    for (target, name) in names {
                        self.export(place, &target, &format!("{path}::{name}"), &conditions(&item.attrs));
                    }
                }
                item if visibility(item).is_some_and(is_public) => {
                    let name = name_of(item).unwrap_or_default();
                    self.item(item, &format!("{path}::{name}"));
                }
                _ => {}
            }
        }
    }

    fn export(&mut self, place: &[String], target: &[String], path: &str, condition: &str) {
        match self.find(place, target) {
            Target::Item(item) => self.item(item, path),
            Target::Module(mut place, module) => self.module(&mut place, module, path),
            Target::Elsewhere => self.add(path, &format!("{condition}pub use {}", target.join("::"))),
        }
    }

    /// Follows a path through modules and re-exports.
    fn find(&self, place: &[String], target: &[String]) -> Target<'a> {
        let (mut at, mut left) = (place.to_vec(), target);
        while let Some(first) = left.first() {
            match first.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ => break,
            }
            left = &left[1..];
        }
        let Some(mut module) = self.at(&at) else {
            return Target::Elsewhere;
        };
        while let Some((first, rest)) = left.split_first() {
            if let Some(inner) = module.modules.get(first) {
                at.push(first.clone());
                (module, left) = (inner, rest);
                continue;
            }
            if !rest.is_empty() {
                return Target::Elsewhere;
            }
            if let Some(item) = module.items.iter().find(|item| name_of(item).as_ref() == Some(first)) {
                return Target::Item(item);
            }
            for item in &module.items {
                let Item::Use(item) = item else { continue };
                let mut names = Vec::new();
                uses(&item.tree, &mut vec![], &mut names);
                if let Some((further, _)) = names.into_iter().find(|(_, name)| name == first) {
                    return self.find(&at, &further);
                }
            }
            return Target::Elsewhere;
        }
        Target::Module(at, module)
    }

    fn at(&self, place: &[String]) -> Option<&'a Module> {
        place
            .iter()
            .try_fold(self.root, |module, name| module.modules.get(name))
    }

    fn item(&mut self, item: &'a Item, path: &str) {
        self.add(path, &signature(item));
        if let Item::Trait(item) = item {
            for inner in &item.items {
                let line = match inner {
                    TraitItem::Fn(inner) => {
                        let given = if inner.default.is_some() { " { .. }" } else { "" };
                        format!("{}{given}", text(&inner.sig))
                    }
                    TraitItem::Type(inner) => format!("type {}", inner.ident),
                    TraitItem::Const(inner) => format!("const {}: {}", inner.ident, text(&inner.ty)),
                    _ => continue,
                };
                self.add(path, &line);
            }
        }
        let Some(name) = name_of(item).filter(|_| matches!(item, Item::Struct(_) | Item::Enum(_))) else {
            return;
        };
        for module in self.root.all() {
            for item in &module.items {
                if let Item::Impl(found) = item
                    && !is_test(&found.attrs)
                    && of_type(found, &name)
                {
                    self.implementation(found, path);
                }
            }
        }
    }

    fn implementation(&mut self, found: &ItemImpl, path: &str) {
        if let Some((_, of, _)) = &found.trait_ {
            let (generics, whose) = (text(&found.generics), text(&found.self_ty));
            self.add(
                path,
                &format!("{}impl{generics} {} for {whose}", kept(&found.attrs), text(of)),
            );
            return;
        }
        for item in &found.items {
            match item {
                ImplItem::Fn(item) if is_public(&item.vis) => {
                    self.add(path, &format!("{}pub {}", kept(&item.attrs), text(&item.sig)));
                }
                ImplItem::Const(item) if is_public(&item.vis) => {
                    self.add(path, &format!("pub const {}: {}", item.ident, text(&item.ty)));
                }
                ImplItem::Macro(item) => self.add(path, &made(&item.mac.tokens.to_string(), &text(&item.mac.path))),
                _ => {}
            }
        }
    }
}

/// A macro's call without the documentation in it.
fn made(tokens: &str, name: &str) -> String {
    let mut out = String::new();
    let mut left = tokens;
    while let Some((before, rest)) = left.split_once("#[doc") {
        out.push_str(before);
        left = rest.split_once("\"]").map_or("", |(_, rest)| rest);
    }
    out.push_str(left);
    format!("{name}!{{ {} }}", out.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether an implementation is for a type of this name; names of types are unique in the crate.
fn of_type(found: &ItemImpl, name: &str) -> bool {
    match &*found.self_ty {
        syn::Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == name),
        _ => false,
    }
}
