// Original file: proto/pasid/v1/types.proto


export interface PasidRange {
  'first'?: (number);
  'last'?: (number);
}

export interface PasidRange__Output {
  'first': (number);
  'last': (number);
}
