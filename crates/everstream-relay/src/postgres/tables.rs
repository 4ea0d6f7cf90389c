//! The table of the events, and the row that says where it ends.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::connection::Problem;
use crate::{Tail, UrlError};

const CURSORS: &str = "everstream_cursors";

/// PostgreSQL cuts longer names.
const MAX_NAME: usize = 63;

/// The names, quoted, and the feed.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// Not quoted; `None` for that of the search path.
    schema: Option<String>,
    events: String,
    cursors: String,
    feed: String,
}

impl Tables {
    pub(super) fn new(table: &str, feed: &str) -> Result<Tables, UrlError> {
        let names: Vec<&str> = table.split('.').collect();
        let is_name =
            |name: &&str| !name.is_empty() && name.len() <= MAX_NAME && !name.contains('\0');
        if names.len() > 2 || !names.iter().all(is_name) {
            let message = format!("table={table:?} isn't the name of a table, or SCHEMA.TABLE");
            return Err(UrlError::new(message));
        }
        if names.last() == Some(&CURSORS) {
            let message =
                format!("the table {CURSORS} is reserved for the cursors: name another one");
            return Err(UrlError::new(message));
        }
        if feed.contains('\0') {
            return Err(UrlError::new("the name of the feed contains U+0000"));
        }
        let quoted = |names: &[&str]| {
            let quote = |name: &&str| format!("\"{}\"", name.replace('"', "\"\""));
            names.iter().map(quote).collect::<Vec<_>>().join(".")
        };
        let mut cursors = names.clone();
        if let Some(last) = cursors.last_mut() {
            *last = CURSORS;
        }
        Ok(Tables {
            schema: (names.len() == 2).then(|| names[0].to_owned()),
            events: quoted(&names),
            cursors: quoted(&cursors),
            feed: feed.to_owned(),
        })
    }

    pub(super) fn feed(&self) -> &str {
        &self.feed
    }

    /// Parameters: the feed, the position and id to compare, the new position and id, and the records'
    /// ids, types, data and times.
    pub(super) fn append_sql(&self) -> String {
        let Tables {
            events, cursors, ..
        } = self;
        format!(
            "WITH moved AS (
                UPDATE {cursors} SET pos = $4, last_id = $5
                WHERE feed = $1 AND pos = $2 AND last_id IS NOT DISTINCT FROM $3
                RETURNING 1
            )
            INSERT INTO {events} (pos, sse_id, sse_event, data, received_at)
            SELECT $2 + n, id, event, data, at
            FROM moved, unnest($6::text[], $7::text[], $8::text[], $9::timestamptz[])
                WITH ORDINALITY AS record (id, event, data, at, n)"
        )
    }

    /// Creates what is absent.
    pub(super) async fn create(&self, client: &Client) -> Result<(), Problem> {
        let encoding: String = client
            .query_one("SHOW server_encoding", &[])
            .await?
            .try_get(0)?;
        if encoding != "UTF8" {
            return Err(Problem::Setup(format!(
                "the database's encoding is {encoding}: create one with the encoding UTF8"
            )));
        }
        let Tables {
            events, cursors, ..
        } = self;
        let tables = [
            (
                events,
                "(pos bigint PRIMARY KEY, sse_id text, sse_event text NOT NULL, data text NOT NULL,
                  received_at timestamptz NOT NULL)",
            ),
            (
                cursors,
                "(feed text PRIMARY KEY, events text NOT NULL UNIQUE, pos bigint NOT NULL, last_id text)",
            ),
        ];
        for (name, columns) in tables {
            // `IF NOT EXISTS` needs the right to create tables even if there is nothing to create.
            if exists(client, name).await? {
                continue;
            }
            let sql = format!("CREATE TABLE IF NOT EXISTS {name} {columns}");
            if let Err(error) = client.batch_execute(&sql).await {
                // Two writers at once: the other one has created the table, or its type. Another type of that
                // name is no table.
                let known = [
                    &SqlState::UNIQUE_VIOLATION,
                    &SqlState::DUPLICATE_TABLE,
                    &SqlState::DUPLICATE_OBJECT,
                ];
                let is_known = error.code().is_some_and(|code| known.contains(&code));
                if !is_known || !exists(client, name).await? {
                    return Err(error.into());
                }
            }
        }
        let sql = format!(
            "INSERT INTO {cursors} (feed, events, pos) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING"
        );
        client.execute(&sql, &[&self.feed, events]).await?;
        Ok(())
    }

    /// Whether the tables are those of this feed, as far as the cursors say.
    async fn check_owner(&self, client: &Client) -> Result<(), Problem> {
        let Tables {
            events,
            cursors,
            feed,
            ..
        } = self;
        let sql = format!("SELECT feed, events FROM {cursors} WHERE feed = $1 OR events = $2");
        for row in client.query(&sql, &[feed, events]).await? {
            let (other_feed, other_events): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if &other_feed != feed {
                return Err(Problem::Setup(format!(
                    "the table {events} belongs to the feed {other_feed:?}: each feed needs its own"
                )));
            }
            if &other_events != events {
                return Err(Problem::Setup(format!(
                    "the feed {feed:?} is stored in the table {other_events}, not in {events}"
                )));
            }
        }
        Ok(())
    }

    /// The tail, if the tables are those of this feed and agree.
    pub(super) async fn checked_tail(&self, client: &Client) -> Result<Tail, Problem> {
        self.check_owner(client).await?;
        let Tables {
            events,
            cursors,
            feed,
            ..
        } = self;
        let sql = format!(
            "SELECT pos, last_id, (SELECT max(pos) FROM {events}) FROM {cursors} WHERE feed = $1"
        );
        let row = client.query_opt(&sql, &[feed]).await?;
        let row = row.ok_or_else(|| self.no_cursor())?;
        let (pos, last): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(2)?);
        if last.is_some_and(|last| last > pos) {
            return Err(Problem::Setup(format!(
                "the table {events} has rows after position {pos}, with which it should end: \
                 were they written by something else, or was the row of {cursors} removed?"
            )));
        }
        tail(pos, row.try_get(1)?)
    }

    pub(super) async fn tail(&self, client: &Client) -> Result<Tail, Problem> {
        let sql = format!("SELECT pos, last_id FROM {} WHERE feed = $1", self.cursors);
        let row = client.query_opt(&sql, &[&self.feed]).await?;
        let row = row.ok_or_else(|| self.no_cursor())?;
        tail(row.try_get(0)?, row.try_get(1)?)
    }

    /// The tail; a log that nobody has created yet is empty.
    pub(super) async fn tail_before_opening(&self, client: &Client) -> Result<Tail, Problem> {
        let Tables {
            events, cursors, ..
        } = self;
        let sql = "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL";
        let row = client.query_one(sql, &[cursors, events]).await?;
        let (has_cursors, has_events): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        if has_cursors {
            self.check_owner(client).await?;
            let sql = format!("SELECT FROM {cursors} WHERE feed = $1");
            if client.query_opt(&sql, &[&self.feed]).await?.is_some() {
                return self.tail(client).await;
            }
        }
        if !has_cursors || !has_events {
            self.check_creatable(client).await?;
        }
        if has_events {
            let sql = format!("SELECT FROM {events} LIMIT 1");
            if client.query_opt(&sql, &[]).await?.is_some() {
                return Err(self.no_cursor());
            }
        }
        Ok(Tail::default())
    }

    /// Whether this role can create what is absent.
    async fn check_creatable(&self, client: &Client) -> Result<(), Problem> {
        let sql = "WITH wanted AS (SELECT coalesce($1::text, current_schema()::text) AS name)
            SELECT wanted.name, has_schema_privilege(oid, 'CREATE')
            FROM wanted LEFT JOIN pg_namespace ON nspname = wanted.name";
        let row = client.query_one(sql, &[&self.schema]).await?;
        let (name, may_create): (Option<String>, Option<bool>) = (row.try_get(0)?, row.try_get(1)?);
        match (name, may_create) {
            (Some(_), Some(true)) => Ok(()),
            (Some(name), Some(false)) => Err(Problem::Setup(format!(
                "the tables don't exist, and this role may not create them in the schema {name:?}: \
                 GRANT CREATE ON SCHEMA, or start the relay once as a role that may"
            ))),
            (Some(name), None) => Err(Problem::Setup(format!(
                "the schema {name:?} doesn't exist: create it first"
            ))),
            (None, _) => Err(Problem::Setup(
                "the search_path has no schema for the tables: name one with table=SCHEMA.TABLE"
                    .to_owned(),
            )),
        }
    }

    /// The ids of the last `count` records up to `pos`, the oldest first.
    pub(super) async fn recent(
        &self,
        client: &Client,
        pos: u64,
        count: usize,
    ) -> Result<Vec<String>, Problem> {
        let limit = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT sse_id FROM {} WHERE pos > $1 AND pos <= $2 AND sse_id IS NOT NULL ORDER BY pos",
            self.events
        );
        let from = pos.saturating_sub(count as u64);
        let rows = client.query(&sql, &[&limit(from), &limit(pos)]).await?;
        let id = |row: &Row| row.try_get(0).map_err(Problem::from);
        rows.iter().map(id).collect()
    }

    fn no_cursor(&self) -> Problem {
        Problem::Setup(format!(
            "the feed {:?} has no row in {}: was it removed?",
            self.feed, self.cursors
        ))
    }
}

async fn exists(client: &Client, table: &str) -> Result<bool, Problem> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    Ok(client.query_one(sql, &[&table]).await?.try_get(0)?)
}

fn tail(pos: i64, id: Option<String>) -> Result<Tail, Problem> {
    match u64::try_from(pos) {
        Ok(pos) => Ok(Tail { pos, id }),
        Err(_) => Err(Problem::Setup(format!("the position {pos} is negative"))),
    }
}
