// Original file: proto/pasid/v1/emulator_lab.proto


export interface EmulatedCache {
  'name'?: (string);
  'device'?: (string);
  'entries'?: (number);
  'capacity'?: (number);
}

export interface EmulatedCache__Output {
  'name': (string);
  'device': (string);
  'entries': (number);
  'capacity': (number);
}
