/**
 * Start and stop of the whole daemon, in order: ledger (which locks the state directory), backend,
 * broker with its recovery, sockets, and only then SERVING. A start that fails undoes what it did,
 * in reverse. `run.ts` puts a process around it; tests and the demo use it as it is.
 */

import fs from 'node:fs'
import type { Logger } from 'pino'
import type { Backend } from '../backend/backend.js'
import type { Emulator } from '../backend/emulator/emulator.js'
import { Broker } from '../broker/broker.js'
import type { Owners } from '../broker/ports.js'
import type { ReclaimPaths } from '../broker/reaper.js'
import { StartRefused } from '../broker/recovery.js'
import type { Ledger } from '../ledger/ledger.js'
import { Admission } from './admission.js'
import type { Config } from './config/config.js'
import { ConnectionCaps } from './connection-caps.js'
import { EXIT, pathFailure, StartFailure } from './exits.js'
import { checkHost } from './host-checks.js'
import { HandOverTokens } from './hand-over-tokens.js'
import { FIELD } from './log-fields.js'
import { openLogs, type Logs } from './logs.js'
import { MemoryTokens } from './memory-tokens.js'
import { Metrics } from './metrics.js'
import { MetricsSocket } from './metrics-socket.js'
import { OwnerTokens } from './owner-tokens.js'
import { KernelOwners } from './owners.js'
import { readBootId, systemChance, systemClock } from './ports.js'
import { Processes } from './processes.js'
import { readVersion } from './release.js'
import { openServers, type Servers } from './servers.js'
import { startBackend, type StartBackendOptions, type StartedBackend } from './start-backend.js'
import { startLedger } from './start-ledger.js'
import { createTelemetry } from './telemetry.js'
import { openTokenKey } from './token-key.js'

export interface StartDaemonOptions {
  /** Which boot of the host this is; for tests that make one up. */
  readonly bootId?: string | undefined
  /** For tests that take some of the ways of noticing a death away. */
  readonly reclaimPaths?: ReclaimPaths | undefined
  /** For tests that come between the broker and what the kernel says of processes. */
  readonly owners?: ((real: Owners) => Owners) | undefined
  readonly logs?: Logs | undefined
  /** Where `/` is for whoever looks at the host; for tests that make one up. */
  readonly hostRoot?: string | undefined
  /** For tests with devices that no host has: instead of what the configuration asks for. */
  readonly startBackend?: ((options: StartBackendOptions) => StartedBackend) | undefined
  /** Something happened that must not: whoever started the daemon ends the process. */
  readonly onBug?: ((error: unknown) => void) | undefined
}

export interface RunningDaemon {
  readonly config: Config
  readonly broker: Broker
  readonly backend: Backend
  /** The same, where it is the emulator. */
  readonly emulator: Emulator | undefined
  readonly ledger: Ledger
  readonly metrics: Metrics
  readonly processes: Processes
  /** The main VMM socket; without identity rules, who calls on it is of `daemon.vmm_tenant`. */
  readonly vmmSocket: string
  readonly adminSocket: string
  readonly fdSocket: string
  readonly metricsSocket: string
  /** Tenant -> path, the main one included. */
  readonly vmmSockets: ReadonlyMap<string, string>
  /** Open connections by socket. */
  connections(): ReadonlyMap<string, number>
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
  const { adminSocket, fdSocket, metricsSocket, vmmSockets } = config
  const sockets = [adminSocket, fdSocket, metricsSocket, ...vmmSockets]
  const paths = [config.stateDir, ...sockets.map((socket) => socket.path)]
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

interface Parts {
  readonly config: Config
  readonly options: StartDaemonOptions
  readonly hostRoot: string
  readonly log: Logger
  readonly onBug: (error: unknown) => void
  /** What was begun, to be undone when the start fails, and at the end. */
  readonly undos: Undo[]
}

interface Floor {
  readonly ledger: Ledger
  readonly backend: Backend
  readonly emulator: Emulator | undefined
  readonly broker: Broker
  readonly metrics: Metrics
  readonly processes: Processes
  /** How many owners may be watched. */
  readonly ownersMax: number
  readonly tokenKey: Uint8Array
}

async function openLedger({ config, log, undos }: Parts, bootId: string): Promise<Ledger> {
  const ledger = await startLedger(config, bootId)
  undos.push(() => ledger.close())
  const { movedAside } = ledger.facts
  if (movedAside === undefined) return ledger
  const fields = { [FIELD.PATH]: movedAside.path, [FIELD.PROBLEM]: movedAside.reason }
  log.error(fields, 'the ledger could not be read and was moved aside; its grants are forgotten')
  return ledger
}

/** All that is there before anybody can connect. */
async function startFloor(parts: Parts): Promise<Floor> {
  const { config, options, hostRoot, log, onBug, undos } = parts
  const bootId = options.bootId ?? readBootId()
  const ownersMax = checkHost(config, log)
  makeHomes(config)
  const ledger = await openLedger(parts, bootId)
  const tokenKey = openTokenKey(config.stateDir)
  const start = options.startBackend ?? startBackend
  const { backend, emulator, close } = start({ config, log, hostRoot })
  undos.push(close)
  const metrics = new Metrics(readVersion())
  const processes = new Processes()
  const kernel = new KernelOwners(processes, ownersMax)
  const owners = options.owners?.(kernel) ?? kernel
  const telemetry = createTelemetry(log, metrics, onBug)
  const ports = { clock: systemClock, chance: systemChance, owners, telemetry }
  const { policy, scopes, reclaim, limits } = config
  const watch = { watchersMax: limits.watchers, changesKept: limits.watchBacklog }
  const { pageRequestDeadlineMs: deadlineMs, pageRequestsPending: pendingMax } = limits
  const broker = await refusedAsFailure(
    Broker.start({
      ledger,
      backend,
      lab: emulator?.lab,
      bootId,
      policy,
      scopes,
      reclaim,
      watch,
      pageRequests: { deadlineMs, pendingMax, tokenKey },
      ports,
      paths: options.reclaimPaths,
    }),
  )
  undos.push(() => broker.stop())
  return { ledger, backend, emulator, broker, metrics, processes, ownersMax, tokenKey }
}

async function refusedAsFailure<T>(start: Promise<T>): Promise<T> {
  try {
    return await start
  } catch (error) {
    if (!(error instanceof StartRefused)) throw error
    throw new StartFailure(error.message, EXIT.CONFIG, { cause: error })
  }
}

async function openSockets(parts: Parts, floor: Floor): Promise<Servers> {
  const { config, hostRoot, log, onBug, undos } = parts
  const { broker, processes, metrics, tokenKey } = floor
  const caps = new ConnectionCaps(config.limits, [0, process.geteuid?.() ?? 0])
  const admission = new Admission({ identity: config.identity, processes, caps, log })
  const ownerTokens = new OwnerTokens(systemClock, systemChance)
  undos.push(() => Promise.resolve(ownerTokens.close()))
  const memoryTokens = new MemoryTokens(systemClock, systemChance)
  undos.push(() => Promise.resolve(memoryTokens.close()))
  const handOverTokens = new HandOverTokens(systemClock, systemChance)
  undos.push(() => Promise.resolve(handOverTokens.close()))
  const servers = await openServers({
    config,
    broker,
    tokenKey,
    processes,
    admission,
    ownerTokens,
    memoryTokens,
    handOverTokens,
    hostRoot,
    metrics,
    log,
    onBug,
  })
  undos.push(() => servers.close(config.stopGraceMs))
  metrics.observe({ broker, connections: () => servers.connections() })
  const scrapes = await MetricsSocket.open({ socket: config.metricsSocket, metrics, log })
  undos.push(() => scrapes.close())
  return servers
}

/** @throws StartFailure when the world is not as it must be; nothing is left behind then */
export async function startDaemon(
  config: Config,
  options: StartDaemonOptions = {},
): Promise<RunningDaemon> {
  const { log } = options.logs ?? openLogs({ level: config.logLevel })
  const onBug = options.onBug ?? ((error) => log.fatal({ [FIELD.ERROR]: error }, 'bug'))
  const { hostRoot = '/' } = options
  const parts: Parts = { config, options, hostRoot, log, onBug, undos: [] }
  try {
    const floor = await startFloor(parts)
    const servers = await openSockets(parts, floor)
    servers.setServing(true)
    sayReady(log, config, floor)
    let stopped: Promise<void> | undefined
    const stop = async () => {
      servers.setServing(false)
      log.info('stopping')
      await undoAll(parts.undos, log)
      log.info('stopped')
    }
    return {
      ...describe(config, floor),
      connections: () => servers.connections(),
      stop: () => (stopped ??= stop()),
    }
  } catch (error) {
    await undoAll(parts.undos, log)
    throw error
  }
}

function describe(
  config: Config,
  { broker, backend, emulator, ledger, metrics, processes }: Floor,
): Omit<RunningDaemon, 'stop' | 'connections'> {
  const vmmSockets = new Map(config.vmmSockets.map(({ tenant, path }) => [tenant, path]))
  const [main] = config.vmmSockets
  return {
    config,
    broker,
    backend,
    emulator,
    ledger,
    metrics,
    processes,
    vmmSockets,
    vmmSocket: main?.path ?? '',
    adminSocket: config.adminSocket.path,
    fdSocket: config.fdSocket.path,
    metricsSocket: config.metricsSocket.path,
  }
}

function sayReady(log: Logger, config: Config, { broker, ledger, ownersMax }: Floor) {
  const { backend, recoveredRevision } = broker.info()
  const { adminSocket, fdSocket, metricsSocket, vmmSockets } = config
  const sockets = {
    vmm: Object.fromEntries(vmmSockets.map(({ tenant, path }) => [tenant, path])),
    admin: adminSocket.path,
    fds: fdSocket.path,
    metrics: metricsSocket.path,
  }
  const fields = {
    [FIELD.SOCKETS]: sockets,
    [FIELD.BACKEND]: backend,
    [FIELD.DEVICES]: config.backend.devices.length,
    [FIELD.TENANTS]: config.policy.tenants.length,
    [FIELD.PATH]: ledger.facts.path,
    [FIELD.REVISION]: recoveredRevision,
    [FIELD.OWNERS]: ownersMax,
  }
  log.info(fields, 'ready')
}
