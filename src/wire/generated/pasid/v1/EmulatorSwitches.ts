// Original file: proto/pasid/v1/emulator_lab.proto


export interface EmulatorSwitches {
  'cachingMode'?: (boolean);
  'eviction'?: (boolean);
  'operationLog'?: (boolean);
}

export interface EmulatorSwitches__Output {
  'cachingMode': (boolean);
  'eviction': (boolean);
  'operationLog': (boolean);
}
