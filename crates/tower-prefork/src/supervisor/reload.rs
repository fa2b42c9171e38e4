//! A reload: the configuration is read again, and all workers are replaced one after another.

use tower_serve::internal::log_writer;

use super::{
    event_loop::SupervisorLoop,
    operations::OperationOutcome,
    server::{SlotHandle, SupervisedServer},
};
use crate::{config::ResolvedConfig, prepare};

/// How far a reload has come.
#[derive(Debug)]
pub(super) struct ReloadOutcome {
    replaced: usize,
    /// Why it went no further.
    failure: Option<String>,
}

impl SupervisorLoop {
    /// Reads the configuration again, and starts to replace the workers. A configuration is refused as a whole, or else
    /// accepted as a whole.
    pub(super) fn begin_reload(&mut self) -> Result<(), String> {
        let servers = self.servers.iter();
        let servers = servers.map(|server| (&*server.state.name, &server.sources));
        let (all, program) = prepare::resolve(servers)?;
        if all.iter().any(ResolvedConfig::is_standalone) {
            return Err("workers is 0, which requires a restart".into());
        }
        let settings = program.needs_start(&self.config);
        if !settings.is_empty() {
            let settings = settings.join(", ");
            tracing::warn!(
                settings,
                "settings are unchanged; changing them requires a restart or an upgrade"
            );
        }
        let mut next = Vec::new();
        for (server, mut resolved) in self.servers.iter().zip(all) {
            let credentials = self.credentials.as_ref();
            let bound = prepare::bind(&mut resolved, &server.bound, credentials)?;
            next.push((resolved.config, bound));
        }
        for (server, (config, bound)) in self.servers.iter_mut().zip(next) {
            server.change(config, bound);
        }
        // The new workers open their own.
        log_writer::reopen_all();
        let slots = self.servers.iter().flat_map(SupervisedServer::slots);
        let reload = replace_all(slots.collect());
        self.operations
            .run(async { OperationOutcome::Reloaded(reload.await) });
        Ok(())
    }

    /// Keeps the new configuration, unless the first worker could not be replaced.
    pub(super) fn reload_ended(&mut self, outcome: ReloadOutcome) -> Result<(), String> {
        let ReloadOutcome { replaced, failure } = outcome;
        for index in 0..self.servers.len() {
            let server = &mut self.servers[index];
            if failure.is_some() && replaced == 0 {
                server.undo_change();
                continue;
            }
            server.keep_change();
            let workers = server.state.config().workers.count();
            if workers != server.workers() {
                self.scale(index, workers)?;
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Replaces one worker after the other, up to the first that cannot be replaced.
async fn replace_all(slots: Vec<SlotHandle>) -> ReloadOutcome {
    tracing::info!(
        workers = slots.len(),
        "reloading: the workers are replaced one after another"
    );
    for (replaced, slot) in slots.iter().enumerate() {
        if let Err(cause) = slot.replace().await {
            let (server, index) = (slot.server(), slot.index());
            tracing::error!(
                server,
                slot = index,
                cause,
                replaced,
                left = slots.len() - replaced,
                "reload failed: a worker could not be replaced; the remaining workers are unchanged"
            );
            return ReloadOutcome {
                replaced,
                failure: Some(format!("worker {index} could not be replaced: {cause}")),
            };
        }
    }
    tracing::info!(workers = slots.len(), "reloaded");
    ReloadOutcome {
        replaced: slots.len(),
        failure: None,
    }
}
