/// A value of a GGUF file's metadata, with the type that it has there.
public enum GGUFValue: Sendable, Hashable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case float32(Float)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)
  case uint64(UInt64)
  case int64(Int64)
  case float64(Double)
}

/// An array of a GGUF file's metadata: elements of one type.
public enum GGUFArray: Sendable, Hashable {
  case uint8([UInt8])
  case int8([Int8])
  case uint16([UInt16])
  case int16([Int16])
  case uint32([UInt32])
  case int32([Int32])
  case float32([Float])
  case bool([Bool])
  case string([String])
  case uint64([UInt64])
  case int64([Int64])
  case float64([Double])
}

extension GGUFValue {
  /// The whole number, where this is one of any width and fits.
  public var int: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(value)
    default: nil
    }
  }

  /// The number, where this is a floating-point number.
  public var double: Double? {
    switch self {
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: nil
    }
  }

  /// The truth value, where this is one.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// The text, where this is a string.
  public var string: String? { if case .string(let text) = self { text } else { nil } }

  /// The elements, where this is an array.
  public var array: GGUFArray? { if case .array(let array) = self { array } else { nil } }
}

extension GGUFValue {
  /// The number by which GGUF calls the value's type.
  var typeNumber: UInt32 {
    switch self {
    case .uint8: 0
    case .int8: 1
    case .uint16: 2
    case .int16: 3
    case .uint32: 4
    case .int32: 5
    case .float32: 6
    case .bool: 7
    case .string: 8
    case .array: 9
    case .uint64: 10
    case .int64: 11
    case .float64: 12
    }
  }
}

extension GGUFArray {
  /// The number by which GGUF calls the elements' type.
  var typeNumber: UInt32 {
    switch self {
    case .uint8: 0
    case .int8: 1
    case .uint16: 2
    case .int16: 3
    case .uint32: 4
    case .int32: 5
    case .float32: 6
    case .bool: 7
    case .string: 8
    case .uint64: 10
    case .int64: 11
    case .float64: 12
    }
  }

  /// The elements, where they are whole numbers of any width and all fit.
  public var ints: [Int]? {
    switch self {
    case .uint8(let values): values.map(Int.init)
    case .int8(let values): values.map(Int.init)
    case .uint16(let values): values.map(Int.init)
    case .int16(let values): values.map(Int.init)
    case .uint32(let values): values.map(Int.init)
    case .int32(let values): values.map(Int.init)
    case .int64(let values): values.map(Int.init)
    case .uint64(let values):
      values.allSatisfy { $0 <= UInt64(Int.max) } ? values.map { Int($0) } : nil
    default: nil
    }
  }

  /// The elements, where they are 32-bit floating-point numbers.
  public var floats: [Float]? { if case .float32(let values) = self { values } else { nil } }

  /// The elements, where they are strings.
  public var strings: [String]? { if case .string(let values) = self { values } else { nil } }
}
