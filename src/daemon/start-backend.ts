/**
 * The backend that the configuration asks for, joined to what it needs of the world. With devices
 * of the host, the host is looked at first: a daemon that could not bind on any does not start.
 */

import type { Logger } from 'pino'
import type { Backend } from '../backend/backend.js'
import { createEmulator, type Emulator } from '../backend/emulator/emulator.js'
import { createHostDevice } from '../backend/vfio/host-device.js'
import { devicesIn } from '../backend/vfio/kept.js'
import { linuxKernel } from '../backend/vfio/linux-kernel.js'
import { createVfioBackend } from '../backend/vfio/vfio.js'
import { diagnose, startProblems } from '../doctor/diagnose.js'
import { readHost } from '../doctor/read-host.js'
import type { Config, NativeConfig } from './config/config.js'
import { EXIT, StartFailure } from './exits.js'
import { ManagerFdKeeper } from './fd-keeper.js'
import { FIELD, KEPT_LET_GO } from './log-fields.js'
import { systemClock } from './ports.js'

export interface StartBackendOptions {
  readonly config: Config
  readonly log: Logger
  /** Where `/` is, as seen by who looks at the host; for tests. */
  readonly hostRoot: string
}

export interface StartedBackend {
  readonly backend: Backend
  /** Undefined: it is another. */
  readonly emulator: Emulator | undefined
  readonly close: () => Promise<void>
}

/** @throws StartFailure */
export function startBackend(options: StartBackendOptions): StartedBackend {
  const { config, log } = options
  const keeper = new ManagerFdKeeper({ clock: systemClock, log })
  const { backend } = config
  if (backend.kind === 'native') return startNative(backend, keeper, options)
  // Of a life with devices of the host: kept any longer, they would stay bound to nobody.
  for (const { device, session } of devicesIn(keeper.forgetKept())) {
    const what = { [FIELD.DEVICE]: device, [FIELD.SESSION]: `#${session}` }
    log.warn({ ...what, [FIELD.PROBLEM]: 'the emulator takes no devices of the host' }, KEPT_LET_GO)
  }
  const emulator = createEmulator({ devices: backend.devices, clock: systemClock })
  const close = async () => {
    await emulator.close()
    keeper.close()
  }
  return { backend: emulator, emulator, close }
}

function startNative(
  { devices, callDeadlineMs, threadsPerSession }: NativeConfig,
  keeper: ManagerFdKeeper,
  { config, log, hostRoot }: StartBackendOptions,
): StartedBackend {
  const facts = readHost({ functions: devices, root: hostRoot })
  const expected = { reservations: config.policy.reservations }
  const problems = startProblems(facts, expected)
  if (problems !== undefined) throw new StartFailure(problems, EXIT.HOST)
  for (const { check, subject, verdict, found, remedy } of diagnose(facts, expected)) {
    if (verdict !== 'WARN' && verdict !== 'FAIL') continue
    const problem = remedy === '' ? found : `${found}; ${remedy}`
    const fields = { [FIELD.CHECK]: check, [FIELD.DEVICE]: subject, [FIELD.PROBLEM]: problem }
    log.warn(fields, 'the host is not ready for everything')
  }
  const backend = createVfioBackend({
    devices: devices.map(({ name, address }) =>
      createHostDevice({ name, address, root: hostRoot }),
    ),
    kernel: linuxKernel,
    keeper,
    clock: systemClock,
    deadlineMs: callDeadlineMs,
    threadsPerSession,
  })
  const close = async () => {
    await backend.close()
    keeper.close()
  }
  return { backend, emulator: undefined, close }
}
