/**
 * The house as data: which room may see which, and which packages. Adding an arrow is a line here,
 * so that it shows in the diff. A room entry may be one file (`ledger/ledger.ts`): a door, not what
 * is behind.
 */
export interface Room {
  /** Rooms, or single files of a room, that this one may import from, type imports included. */
  readonly rooms: readonly string[]
  /** npm packages; a subpath of a package counts as the package. */
  readonly packages: readonly string[]
  /** Node's own modules: all of them, or those named. */
  readonly builtins: 'all' | readonly string[]
}

export const HOUSE: Readonly<Record<string, Room>> = {
  core: { rooms: [], packages: [], builtins: [] },
  linux: { rooms: [], packages: [], builtins: 'all' },
  // Bytes of structures that the kernel and the hardware define, and their meaning.
  uapi: { rooms: ['core'], packages: [], builtins: [] },
  ledger: { rooms: ['core'], packages: ['better-sqlite3'], builtins: 'all' },
  backend: { rooms: ['uapi', 'core'], packages: [], builtins: 'all' },
  // A room in a room: the one backend that makes system calls.
  'backend/vfio': {
    rooms: ['backend/backend.ts', 'uapi', 'linux', 'core'],
    packages: [],
    builtins: 'all',
  },
  // Whether this host is ready: read-only facts, and judgement.
  doctor: { rooms: ['uapi', 'core'], packages: [], builtins: 'all' },
  wire: {
    rooms: ['core'],
    packages: ['@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'nice-grpc-error-details'],
    builtins: 'all',
  },
  broker: {
    rooms: ['core', 'ledger/ledger.ts', 'backend/backend.ts', 'backend/lab.ts'],
    packages: [],
    builtins: ['node:crypto'],
  },
  service: {
    rooms: ['broker', 'wire', 'uapi', 'backend/lab.ts', 'core'],
    packages: ['@grpc/grpc-js', 'zod', 'grpc-health-check'],
    builtins: 'all',
  },
  client: { rooms: ['wire', 'core'], packages: ['@grpc/grpc-js'], builtins: 'all' },
  daemon: {
    rooms: [
      'service',
      'broker',
      'ledger',
      'backend',
      'backend/vfio',
      'doctor',
      'wire',
      'uapi',
      'linux',
      'core',
    ],
    packages: [
      '@grpc/grpc-js',
      'pino',
      'prom-client',
      'smol-toml',
      'zod',
      'commander',
      'grpc-health-check',
    ],
    builtins: 'all',
  },
  cli: {
    rooms: ['client', 'doctor', 'core'],
    packages: ['commander', 'cli-table3', 'picocolors'],
    builtins: 'all',
  },
}

/**
 * Where running starts. What none of them reaches, by import or as `new URL('./x.js', ...)`, is
 * dead.
 */
export const ENTRY_FILES: readonly string[] = [
  'src/daemon/main.ts',
  'src/cli/main.ts',
  'src/client/index.ts',
]
/** Files in these folders are entries too: they use the product from outside. */
export const ENTRY_FOLDERS: readonly string[] = ['test/', 'bench/', 'demo/', 'examples/']

/** Written by scripts/generate.mjs; no rule of style applies. */
export const GENERATED = 'src/wire/generated/'

/** Rooms that may write to the console. */
export const CONSOLE_ROOMS: readonly string[] = ['cli', 'daemon']

export const FILE_LINES_MAX = 400
export const FUNCTION_LINES_MAX = 70
export const LINE_COLUMNS_MAX = 100
