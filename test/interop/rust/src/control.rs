//! The fast path: one stream, commands with ids of our own go out, answers come back as they are
//! ready.

use std::collections::HashMap;

use prost::Message;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::errors::facts_of_rpc;
use crate::pasid::{self, InvalidationCache, control_request::Command, control_response::Answer};
use crate::session::{Session, table};
use crate::{Failure, TABLE_MAX, say};

const PIPELINED_INVALIDATIONS: u32 = 100;

/// Commands on their way; its ids count down from the greatest.
struct Commands {
    out: mpsc::UnboundedSender<pasid::ControlRequest>,
    next_id: u64,
    /// What each is to be answered with.
    sent: HashMap<u64, &'static str>,
}

impl Commands {
    /// Does not wait.
    fn send(&mut self, command: Command, answer: &'static str) -> Result<u64, Failure> {
        let id = self.next_id;
        self.next_id -= 1;
        self.sent.insert(id, answer);
        self.out.send(pasid::ControlRequest { id, command: Some(command) })?;
        Ok(id)
    }
}

fn kind_of(answer: &Answer) -> &'static str {
    match answer {
        Answer::Opened(_) => "opened",
        Answer::BindPasid(_) => "bind_pasid",
        Answer::Invalidate(_) => "invalidate",
        Answer::UnbindPasids(_) => "unbind_pasids",
        Answer::GetSession(_) => "get_session",
        Answer::Error(_) => "error",
        _ => "another",
    }
}

fn bind(pasid: u32) -> Command {
    Command::BindPasid(pasid::BindPasidRequest {
        target: Some(pasid::bind_pasid_request::Target::Pasid(pasid)),
        devices: vec!["devices/emu0".into()],
        table: table(TABLE_MAX, 48),
        domain: 7,
        ..Default::default()
    })
}

fn invalidate(pasid: u32) -> Command {
    let whole = pasid::PasidGranularity {
        target: Some(pasid::pasid_granularity::Target::Pasid(pasid)),
        ..Default::default()
    };
    let entry = pasid::InvalidationEntry {
        granularity: Some(pasid::invalidation_entry::Granularity::Pasid(whole)),
        caches: vec![InvalidationCache::Iotlb as i32, InvalidationCache::DeviceTlb as i32],
    };
    Command::Invalidate(pasid::InvalidateRequest { entries: vec![entry], ..Default::default() })
}

fn unbind(pasid: u32) -> Command {
    let target = pasid::UnbindTarget {
        target: Some(pasid::unbind_target::Target::Pasid(pasid)),
        ..Default::default()
    };
    Command::UnbindPasids(pasid::UnbindPasidsRequest {
        what: Some(pasid::unbind_pasids_request::What::Target(target)),
        ..Default::default()
    })
}

/// Binds a whole block, invalidates it again and again, unbinds it: all without waiting.
pub async fn control(session: &mut Session, block: pasid::PasidRange) -> Result<(), Failure> {
    let (out, outgoing) = mpsc::unbounded_channel();
    let mut commands = Commands { out, next_id: u64::MAX, sent: HashMap::new() };
    let open = pasid::ControlOpen { session: session.name.clone(), ..Default::default() };
    let opening = commands.send(Command::Open(open), "opened")?;
    for pasid in block.first..=block.last {
        commands.send(bind(pasid), "bind_pasid")?;
    }
    for turn in 0..PIPELINED_INVALIDATIONS {
        commands.send(invalidate(block.first + turn % 16), "invalidate")?;
    }
    for pasid in block.first..=block.last {
        commands.send(unbind(pasid), "unbind_pasids")?;
    }
    commands.send(Command::GetSession(pasid::GetSessionRequest::default()), "get_session")?;
    let wrong = commands.send(unbind(999_999), "error")?;
    let mut sent = commands.sent;
    // No more commands: with its sender gone, the stream is half-closed behind the last of them.
    drop(commands.out);

    let outgoing = session.with_token(UnboundedReceiverStream::new(outgoing));
    let mut incoming = session.broker.control(outgoing).await?.into_inner();
    let mut answers = HashMap::new();
    while let Some(message) = incoming.message().await? {
        answers.insert(message.id, message.answer.ok_or("an answer is empty")?);
    }

    let Some(Answer::Opened(opened)) = answers.get(&opening) else {
        return Err("the stream was not opened".into());
    };
    sent.remove(&opening);
    let (mut matched, mut done, mut unbound) = (0, 0, 0);
    for (id, kind) in &sent {
        let answer = answers.get(id).ok_or("a command was not answered")?;
        matched += u32::from(kind_of(answer) == *kind);
        match answer {
            Answer::Invalidate(answer) => done += answer.done,
            Answer::UnbindPasids(answer) => unbound += answer.unbound,
            _ => {}
        }
    }
    let Some(Answer::Error(error)) = answers.get(&wrong) else {
        return Err("the wrong command was not refused".into());
    };
    say(
        "control",
        json!({
            "in_flight_max": opened.in_flight_max,
            "sent": sent.len(),
            "matched": matched,
            "done": done,
            "unbound": unbound,
            "last_id": wrong.to_string(),
            // A stream's error has the details as bytes.
            "error": facts_of_rpc(&tonic_types::Status::decode(error.status.as_slice())?),
            "error_reason": error.reason,
        }),
    );
    Ok(())
}
