/**
 * Start and stop of the whole daemon, in order: ledger (which locks the state directory), backend,
 * broker with its recovery, sockets, and only then SERVING. A start that fails undoes what it did,
 * in reverse. `run.ts` puts a process around it; tests and the demo use it as it is.
 */

import fs from 'node:fs'
import type { Logger } from 'pino'
import { createEmulator, type Emulator } from '../backend/emulator/emulator.js'
import { Broker } from '../broker/broker.js'
import { StartRefused } from '../broker/recovery.js'
import type { Ledger } from '../ledger/ledger.js'
import type { Config } from './config/config.js'
import { EXIT, pathFailure, StartFailure } from './exits.js'
import { FIELD } from './log-fields.js'
import { openLogs, type Logs } from './logs.js'
import { readBootId, systemChance, systemClock } from './ports.js'
import { openServers } from './servers.js'
import { startLedger } from './start-ledger.js'
import { createTelemetry, type Counters } from './telemetry.js'
import { openTokenKey } from './token-key.js'

export interface StartDaemonOptions {
  /** Which boot of the host this is; for tests that make one up. */
  readonly bootId?: string | undefined
  readonly logs?: Logs | undefined
  /** Something happened that must not: whoever started the daemon ends the process. */
  readonly onBug?: ((error: unknown) => void) | undefined
}

export interface RunningDaemon {
  readonly config: Config
  readonly broker: Broker
  readonly backend: Emulator
  readonly ledger: Ledger
  readonly counters: Counters
  /** The main VMM socket: who calls on it is of the tenant `daemon.vmm_tenant`. */
  readonly vmmSocket: string
  readonly adminSocket: string
  /** Tenant -> path, the main one included. */
  readonly vmmSockets: ReadonlyMap<string, string>
  /** Lets calls under way end, then ends everything; the sockets are gone. Repeatable. */
  stop(): Promise<void>
}

type Undo = () => Promise<void>

/** Runs all, newest first, whatever any of them does. */
async function undoAll(undos: readonly Undo[], log: Logger): Promise<void> {
  for (const undo of [...undos].reverse()) {
    try {
      await undo()
    } catch (error) {
      log.error({ [FIELD.ERROR]: error }, 'stopping a part failed')
    }
  }
}

function makeHomes(config: Config): void {
  const paths = [config.stateDir, config.adminSocket.path, ...config.vmmSockets.map((s) => s.path)]
  for (const home of config.homes) {
    if (!paths.some((path) => path.startsWith(`${home}/`))) continue
    try {
      fs.mkdirSync(home, { recursive: true })
    } catch (error) {
      const remedy = 'make it writable, or name other paths in a configuration file'
      throw pathFailure(`the folder ${home}`, error, remedy)
    }
  }
}

async function startBroker(
  config: Config,
  parts: { ledger: Ledger; backend: Emulator; bootId: string },
  telemetry: ReturnType<typeof createTelemetry>['telemetry'],
): Promise<Broker> {
  const { policy, scopes } = config
  const ports = { clock: systemClock, chance: systemChance, telemetry }
  try {
    return await Broker.start({ ...parts, policy, scopes, ports })
  } catch (error) {
    if (!(error instanceof StartRefused)) throw error
    throw new StartFailure(error.message, EXIT.CONFIG, { cause: error })
  }
}

/** @throws StartFailure when the world is not as it must be; nothing is left behind then */
export async function startDaemon(
  config: Config,
  options: StartDaemonOptions = {},
): Promise<RunningDaemon> {
  const { log } = options.logs ?? openLogs({ level: config.logLevel })
  const onBug = options.onBug ?? ((error) => log.fatal({ [FIELD.ERROR]: error }, 'bug'))
  const undos: Undo[] = []
  try {
    const bootId = options.bootId ?? readBootId()
    makeHomes(config)
    const ledger = await startLedger(config, bootId)
    undos.push(() => ledger.close())
    const { movedAside } = ledger.facts
    if (movedAside !== undefined) {
      const fields = { [FIELD.PATH]: movedAside.path, [FIELD.PROBLEM]: movedAside.reason }
      log.error(
        fields,
        'the ledger could not be read and was moved aside; its grants are forgotten',
      )
    }
    const tokenKey = openTokenKey(config.stateDir)
    const backend = createEmulator({ devices: config.backend.devices })
    undos.push(() => backend.close())
    const { telemetry, counters } = createTelemetry(log, onBug)
    const broker = await startBroker(config, { ledger, backend, bootId }, telemetry)
    undos.push(() => broker.stop())
    const servers = await openServers({ config, broker, tokenKey, log, onBug })
    undos.push(() => servers.close(config.stopGraceMs))
    const running = describe(config, { broker, backend, ledger, counters })
    servers.setServing(true)
    sayReady(log, running)
    let stopped: Promise<void> | undefined
    const stop = async () => {
      servers.setServing(false)
      log.info('stopping')
      await undoAll(undos, log)
      log.info('stopped')
    }
    return { ...running, stop: () => (stopped ??= stop()) }
  } catch (error) {
    await undoAll(undos, log)
    throw error
  }
}

type Parts = Pick<RunningDaemon, 'broker' | 'backend' | 'ledger' | 'counters'>

function describe(config: Config, parts: Parts): Omit<RunningDaemon, 'stop'> {
  const vmmSockets = new Map(config.vmmSockets.map(({ tenant, path }) => [tenant, path]))
  const [main] = config.vmmSockets
  return {
    config,
    ...parts,
    vmmSocket: main?.path ?? '',
    adminSocket: config.adminSocket.path,
    vmmSockets,
  }
}

function sayReady(
  log: Logger,
  { config, broker, ledger, vmmSockets }: Omit<RunningDaemon, 'stop'>,
) {
  const { backend, recoveredRevision } = broker.info()
  const fields = {
    [FIELD.SOCKETS]: { vmm: Object.fromEntries(vmmSockets), admin: config.adminSocket.path },
    [FIELD.BACKEND]: backend,
    [FIELD.DEVICES]: config.backend.devices.length,
    [FIELD.TENANTS]: config.policy.tenants.length,
    [FIELD.PATH]: ledger.facts.path,
    [FIELD.REVISION]: recoveredRevision,
  }
  log.info(fields, 'ready')
}
