//! `hooks inspect`, as a browser sees it.

mod guard;
mod live;
mod pages;
mod table;
mod visitor;
