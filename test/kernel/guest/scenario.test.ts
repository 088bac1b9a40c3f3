/**
 * The daemon as it is built, VMMs in processes of their own, and the kernel's Intel driver. What is
 * bound is looked up in the tables that the driver has written. In this order, since the last ends
 * the VMM.
 */
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { bindScenarios } from '../rig/scenario-bind.js'
import { deathScenarios } from '../rig/scenario-death.js'
import { hostileScenarios } from '../rig/scenario-hostile.js'
import { restartScenarios } from '../rig/scenario-restart.js'
import { vanishScenarios } from '../rig/scenario-vanish.js'
import { World } from '../rig/scenario-world.js'

/** Under emulation, on a busy host. */
const SLOW_MS = 300_000
vi.setConfig({ testTimeout: SLOW_MS, hookTimeout: SLOW_MS })

const world = new World()
beforeAll(() => world.start())
afterAll(() => world.end())

describe('a session', () => bindScenarios(world))
describe('a hand-over', () => hostileScenarios(world))
describe('a restart', () => restartScenarios(world))
describe('a removal', () => vanishScenarios(world))
describe('an end', () => deathScenarios(world))
