//! `--jq` is refused.

use std::convert::Infallible;
use std::marker::PhantomData;

use everstream::Event;

use super::missing;
use crate::report::Problem;

pub(crate) const LONGEST: usize = 0;

/// It can't be created.
pub(crate) struct Jq(Infallible);

/// Has a destructor, like the real one.
pub(crate) struct Results<'a>(Box<Infallible>, PhantomData<&'a mut Jq>);

impl Jq {
    pub(crate) fn new(_: &str) -> Result<Jq, Problem> {
        Err(missing("--jq", "jq"))
    }

    pub(crate) fn run(&mut self, _: &Event) -> std::future::Ready<Results<'_>> {
        match self.0 {}
    }
}

impl Results<'_> {
    pub(crate) fn next(&mut self) -> std::future::Ready<Option<Result<String, String>>> {
        match *self.0 {}
    }
}
