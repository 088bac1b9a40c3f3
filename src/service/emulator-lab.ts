/**
 * The gRPC service EmulatorLab, on the admin socket: the emulator's laboratory. Operators act,
 * observers see (guest memory not: that is the guest's). Acts are recorded, but for accesses, page
 * requests and words of memory, of which a test makes as many as it likes.
 */

import { actorOf } from '../broker/caller.js'
import { accept } from '../core/refusal.js'
import type { StrictEmulatorLab } from '../wire/services.js'
import type { ServiceContext } from './context.js'
import { deviceProtoForOperator } from './convert/device.js'
import { LabCalls } from './lab/calls.js'
import { newDeviceOf, newDeviceText, resetOf } from './lab/device.js'
import { clearOf, faultProto, faultsOf, injectionOf, injectionText } from './lab/faults.js'
import { memoryHandlers } from './lab/memory.js'
import { PageRequestWaits, raiseOf } from './lab/page-request.js'
import { submitOf, submittedProto, submittedText } from './lab/queue.js'
import * as state from './lab/state.js'
import { accessOf, translationProto } from './lab/translation.js'
import { watchFaultsHandler } from './lab/watch-faults.js'
import { mayAct } from './operator-role.js'
import { mapped } from './unary.js'

export function emulatorLabHandlers(context: ServiceContext): StrictEmulatorLab {
  const calls = new LabCalls(context)
  return {
    ...unitHandlers(calls),
    ...queueHandlers(calls),
    ...deviceHandlers(calls),
    ...faultHandlers(calls),
    ...memoryHandlers(calls),
    ...pageRequestHandlers(calls),
    WatchFaults: watchFaultsHandler(context),
  }
}

type Handlers<Name extends keyof StrictEmulatorLab> = Pick<StrictEmulatorLab, Name>

function unitHandlers(
  calls: LabCalls,
): Handlers<'GetEmulator' | 'UpdateEmulator' | 'Translate' | 'DumpTables' | 'ListOperations'> {
  const { broker, limits } = calls.context
  return {
    GetEmulator: calls.read('GetEmulator', () => {
      return calls.on('', (lab) => accept(state.stateProto(lab.state())))
    }),
    UpdateEmulator: calls.act('UpdateEmulator', (message, { caller }) => {
      return calls.on('', (lab) => {
        const switches = lab.set(state.switchesOf(message))
        if (message.flushCaches) lab.flush()
        calls.audit(caller, '', state.switchesText(message))
        return accept({ switches })
      })
    }),
    Translate: calls.act('Translate', (message) => {
      const access = accessOf(message)
      if (!access.ok) return access
      return calls.on(access.value.device, (lab) => {
        return accept(translationProto(lab.translate(access.value), access.value))
      })
    }),
    DumpTables: calls.read('DumpTables', (message, { caller }) => {
      const asked = state.dumpOf(message)
      if (!asked.ok) return asked
      const { device, first, walk } = asked.value
      // A walk shows the guest's own tables, which are words of its memory.
      const allowed = walk === undefined ? accept(caller) : mayAct(caller, 'DumpTables with a walk')
      if (!allowed.ok) return allowed
      const count = state.dumpFitting(asked.value.count, limits.messageBytes)
      return calls.on(device, (lab) => {
        const dump = lab.dump(device, { first, count, walk })
        return accept(state.dumpProto(dump, (session) => broker.sessionName(session)))
      })
    }),
    ListOperations: calls.read('ListOperations', (message) => {
      const asked = state.operationsOf(message)
      if (!asked.ok) return asked
      const count = state.fitting(asked.value.count, limits.messageBytes)
      return calls.on('', (lab) => {
        const { rows, lost } = lab.operations(asked.value.after, count)
        return accept({ operations: rows.map((row) => ({ ...row })), lost })
      })
    }),
  }
}

function queueHandlers(calls: LabCalls): Handlers<'SubmitDescriptors'> {
  return {
    SubmitDescriptors: calls.act('SubmitDescriptors', (message, { caller }) => {
      const asked = submitOf(message)
      if (!asked.ok) return asked
      return calls.on('', (lab) => {
        if (asked.value.clearError) lab.clearQueueError()
        const submitted = lab.submitDescriptors(asked.value.bytes, asked.value.wide)
        calls.audit(caller, '', submittedText(asked.value, submitted))
        return accept(submittedProto(submitted))
      })
    }),
  }
}

function deviceHandlers(calls: LabCalls): Handlers<'CreateDevice' | 'ResetDevice'> {
  const { broker } = calls.context
  return {
    CreateDevice: calls.act('CreateDevice', (message, { caller }) => {
      const asked = newDeviceOf(message)
      if (!asked.ok) return asked
      const { device, scope } = asked.value
      const { name } = device
      const details = newDeviceText(asked.value)
      const subject = `devices/${name}`
      const adding = calls.on('', (lab) => {
        const added = broker.addDevice({
          name,
          scope,
          make: () => lab.createDevice(device),
          unmake: () => lab.removeDevice(name),
          audit: { action: 'EMULATOR_LAB', actor: actorOf(caller), subject, cause: '', details },
        })
        return accept(added)
      })
      if (!adding.ok) return adding
      return mapped(adding.value, (view) => ({ device: deviceProtoForOperator(view) }))
    }),
    ResetDevice: calls.act('ResetDevice', (message, { caller }) => {
      const asked = resetOf(message)
      if (!asked.ok) return asked
      const { device, ms } = asked.value
      return calls.on(device, (lab) => {
        const droppedPageRequests = lab.reset(device, ms)
        calls.audit(caller, `devices/${device}`, `ResetDevice: ${ms} ms`)
        return accept({ droppedPageRequests })
      })
    }),
  }
}

function faultHandlers(calls: LabCalls): Handlers<'InjectFault' | 'ClearFaults' | 'ListFaults'> {
  const { limits } = calls.context
  return {
    InjectFault: calls.act('InjectFault', (message, { caller }) => {
      const asked = injectionOf(message)
      if (!asked.ok) return asked
      const device = asked.value.kind === 'DEVICE' ? asked.value.device : ''
      return calls.on(device, (lab) => {
        if (asked.value.kind === 'DEVICE') lab.inject(device, asked.value.failure)
        else lab.setHealth(healthOf(asked.value.state))
        const text = `InjectFault: ${injectionText(asked.value)}`
        calls.audit(caller, device === '' ? '' : `devices/${device}`, text)
        return accept({})
      })
    }),
    ClearFaults: calls.act('ClearFaults', (message, { caller }) => {
      const asked = clearOf(message)
      if (!asked.ok) return asked
      const device = asked.value
      return calls.on(device, (lab) => {
        lab.clearFailures(device === '' ? undefined : device)
        calls.audit(caller, device === '' ? '' : `devices/${device}`, 'ClearFaults')
        return accept({})
      })
    }),
    ListFaults: calls.read('ListFaults', (message) => {
      const asked = faultsOf(message)
      if (!asked.ok) return asked
      const { device, after } = asked.value
      const count = state.fitting(asked.value.count, limits.messageBytes)
      return calls.on(device, (lab) => {
        const { rows, lost } = lab.faults(after, count, device === '' ? undefined : device)
        return accept({ faults: rows.map(faultProto), lost })
      })
    }),
  }
}

function healthOf(health: 'READY' | 'DEGRADED' | 'DEAD') {
  return health === 'READY'
    ? ({ state: health } as const)
    : ({ state: health, reason: 'ordered by an operator (InjectFault)' } as const)
}

/** A call of its own: it ends with its client. */
function pageRequestHandlers(calls: LabCalls): Handlers<'RaisePageRequest'> {
  const waits = new PageRequestWaits(calls.context.streams)
  return {
    RaisePageRequest: (call, callback) => {
      const handler: StrictEmulatorLab['RaisePageRequest'] = calls.act(
        'RaisePageRequest',
        (message) => {
          const asked = raiseOf(message)
          if (!asked.ok) return asked
          const { request } = asked.value
          return waits.run(call, asked.value, () => {
            return calls.on(request.device, (lab) => accept(lab.raisePageRequest(request)))
          })
        },
      )
      handler(call, callback)
    },
  }
}
