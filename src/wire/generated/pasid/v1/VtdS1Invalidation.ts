// Original file: proto/pasid/v1/pasid_broker.proto


export interface VtdS1Invalidation {
  'pasid'?: (number);
  'rid'?: (boolean);
  'device'?: (string);
  'dataType'?: (number);
  'entryLen'?: (number);
  'entryNum'?: (number);
  'entries'?: (Buffer | Uint8Array | string);
  'target'?: "pasid"|"rid";
}

export interface VtdS1Invalidation__Output {
  'pasid'?: (number);
  'rid'?: (boolean);
  'device': (string);
  'dataType': (number);
  'entryLen': (number);
  'entryNum': (number);
  'entries': (Buffer);
  'target'?: "pasid"|"rid";
}
