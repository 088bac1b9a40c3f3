/**
 * npm and the compiler, for the steps that use them: how to start npm as we were started, what has
 * to be on the machine, and the headers that are there already.
 */
import fs from 'node:fs'
import path from 'node:path'
import { readOr } from './paths.mjs'

const LOG_TAIL_LINES = 30

/** What ends the set-up with a sentence, and not with a stack. */
export class SetupFailure extends Error {}

function onPath(program) {
  if (path.isAbsolute(program)) return fs.existsSync(program)
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      fs.accessSync(path.join(folder, program), fs.constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** SQLite and our addon are compiled: what that takes and is not here, by name. */
export function missingTools() {
  const { env } = process
  const python = env.PYTHON ?? env.npm_config_python ?? 'python3'
  const compiler = (env.CXX ?? 'g++').split(' ')[0]
  return [python, 'make', compiler].filter((tool) => !onPath(tool))
}

/**
 * The prefix whose headers are exactly those of this Node, so that node-gyp need not fetch them.
 */
function headerPrefix() {
  const prefix = path.resolve(path.dirname(fs.realpathSync(process.execPath)), '..')
  if (!fs.existsSync(path.join(prefix, 'include/node/node.h'))) return undefined
  const text = readOr(path.join(prefix, 'include/node/node_version.h'))
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1]
  const version = [part('MAJOR'), part('MINOR'), part('PATCH')].join('.')
  return version === process.versions.node ? prefix : undefined
}

/** How node-gyp is told of them. */
export function headerEnvironment() {
  const prefix = headerPrefix()
  return prefix === undefined ? {} : { npm_config_nodedir: prefix }
}

/** npm as it was started, else the one on the path. */
export function npmCommand() {
  const cli = process.env.npm_execpath
  if (cli !== undefined && path.basename(cli).startsWith('npm') && fs.existsSync(cli)) {
    return [process.execPath, [cli]]
  }
  return ['npm', []]
}

/** The end of a long output. */
export function tail(output) {
  return output.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}
