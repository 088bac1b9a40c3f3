// Original file: proto/pasid/v1/pasid_broker.proto


export interface Feature {
  'name'?: (string);
  'available'?: (boolean);
  'note'?: (string);
}

export interface Feature__Output {
  'name': (string);
  'available': (boolean);
  'note': (string);
}
