//! `hooks inspect`, as a browser sees it.

mod guard;
mod live;
mod pages;
pub mod table;
mod visitor;
