/**
 * The backend's laboratory, where it has one, as the service uses it: what the world refuses there
 * is a refusal here, and what operators do there is recorded. No rule of the lab's is here.
 */

import { BackendFault } from '../backend/backend.js'
import type { Lab } from '../backend/lab.js'
import { accept, type Outcome } from '../core/refusal.js'
import { recordOf, type Audit } from './audit.js'
import { no, refusalOf, type Context } from './context.js'

const NO_LAB = {
  code: 'FEATURE_NOT_AVAILABLE',
  feature: 'emulator-lab',
  remedy: 'start the daemon with backend.kind = "emulator"; GetServerInfo says what there is',
} as const

/** `device`: whose it is when the world refuses; empty for the whole backend. */
export function useLab<T>(context: Context, device: string, use: (lab: Lab) => T): Outcome<T> {
  const { lab } = context
  if (lab === undefined) return no(context, NO_LAB)
  if (device !== '' && context.state.deviceByName.get(device)?.facts === undefined) {
    return no(context, { code: 'DEVICE_NOT_FOUND', device })
  }
  try {
    return accept(use(lab))
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    return no(context, refusalOf(device, fault))
  }
}

/** That an operator did something with the emulator. Not waited for, and lost with the disk. */
export function auditLab(context: Context, audit: Omit<Audit, 'action' | 'cause'>): void {
  if (!context.queue.writable) return
  const record = recordOf(context, { ...audit, action: 'EMULATOR_LAB', cause: '' }, 'DONE')
  context.queue.submit([{ kind: 'audited', record }])
}
