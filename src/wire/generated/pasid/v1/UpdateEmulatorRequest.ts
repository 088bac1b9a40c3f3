// Original file: proto/pasid/v1/emulator_lab.proto


export interface UpdateEmulatorRequest {
  'cachingMode'?: (boolean);
  'eviction'?: (boolean);
  'operationLog'?: (boolean);
  'flushCaches'?: (boolean);
  '_cachingMode'?: "cachingMode";
  '_eviction'?: "eviction";
  '_operationLog'?: "operationLog";
}

export interface UpdateEmulatorRequest__Output {
  'cachingMode'?: (boolean);
  'eviction'?: (boolean);
  'operationLog'?: (boolean);
  'flushCaches': (boolean);
  '_cachingMode'?: "cachingMode";
  '_eviction'?: "eviction";
  '_operationLog'?: "operationLog";
}
