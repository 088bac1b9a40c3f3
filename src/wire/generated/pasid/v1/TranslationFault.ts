// Original file: proto/pasid/v1/emulator_lab.proto


export interface TranslationFault {
  'reason'?: (number);
  'name'?: (string);
  'recorded'?: (boolean);
}

export interface TranslationFault__Output {
  'reason': (number);
  'name': (string);
  'recorded': (boolean);
}
