/**
 * What an earlier life left that makes no holding: closed, and before that what is remembered of it
 * is detached, for a VMM that has copies keeps its devices bound, with whatever is attached.
 */

import type { Target } from '../../core/ids.js'
import { BackendFault, type HandedFd } from '../backend.js'
import { pasidOf } from './guards.js'
import { closeApart } from './held-fd.js'
import { quietly } from './hwpts.js'
import type { HostDevice, Kernel } from './ports.js'

export interface Unclaimed {
  readonly useless: readonly HandedFd[]
  readonly strays: readonly Stray[]
}

/** A device, whichever it is, through which something of ours may be attached. */
export interface Stray {
  /** For the way in which it is attached. */
  readonly host: HostDevice
  readonly cdev: HandedFd
  readonly targets: readonly Target[]
}

/** Each device on a thread of its own, without a deadline: nobody waits for it. */
export async function closeUnclaimed(
  kernel: Kernel,
  { useless, strays }: Unclaimed,
): Promise<void> {
  const closing = strays.map((stray) => detachAndClose(kernel, stray))
  await Promise.all([...closing, closeApart(kernel, useless)])
}

async function detachAndClose(kernel: Kernel, { host, cdev, targets }: Stray): Promise<void> {
  let thread
  try {
    thread = kernel.startThread('pasidd-detach')
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    await closeApart(kernel, [cdev])
    return
  }
  const port = host.attachPort(cdev, thread)
  for (const target of targets) await quietly(() => port.detach(pasidOf(target)))
  await thread.close(cdev)
  thread.end()
}
