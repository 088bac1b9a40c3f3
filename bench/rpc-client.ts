/** A client process of the RPC bench: does what rpc.ts tells it, one task at a time. */

import process from 'node:process'
import { PacedLoad, runAlone, runRate, runSync } from './rpc-loads.js'
import { Target } from './rpc-target.js'
import type { Answers, Asked, Replied, TargetName, Task } from './rpc-task.js'

const targets = new Map<TargetName, Target>()
let paced: PacedLoad | undefined

function opened(name: TargetName): Target {
  const target = targets.get(name)
  if (target === undefined) throw new Error(`${name} is not open`)
  return target
}

async function run(task: Task): Promise<Answers[Task['kind']]> {
  switch (task.kind) {
    case 'open':
      targets.set(task.target, await Target.open(task.socket))
      return undefined
    case 'rate':
      return runRate(opened(task.target), task)
    case 'alone':
      return runAlone(opened(task.target), task)
    case 'pace':
      paced = new PacedLoad(opened(task.target), task)
      return undefined
    case 'pause': {
      const load = paced
      paced = undefined
      return load === undefined ? { calls: 0 } : load.stop()
    }
    case 'free':
      await opened(task.target).free()
      return undefined
    case 'sync':
      return runSync(task)
  }
}

const reply = (message: Replied): void => void process.send?.(message)
process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, task }: Asked) => {
  run(task).then(
    (answer) => reply({ id, ok: true, answer }),
    (error: unknown) => reply({ id, ok: false, error: String(error) }),
  )
})
