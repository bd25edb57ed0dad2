extension JSONValue {
  /// What a text may ask of the parser.
  public struct Limits: Sendable {
    /// How deep arrays and objects may be nested.
    public var depth: Int

    /// Sets the limits.
    public init(depth: Int = 128) {
      self.depth = depth
    }
  }

  /// Parses a JSON text strictly by RFC 8259.
  ///
  /// Refused are two members of the same name, bytes that are not UTF-8, half surrogate pairs,
  /// a byte order mark, `NaN`, comments, and anything behind the value.
  ///
  /// - Parameters:
  ///   - bytes: the text in UTF-8.
  ///   - limits: what the text may ask of the parser.
  /// - Returns: the value that the text holds.
  /// - Throws: `JSONError` with the place of the first fault.
  public static func parse(
    _ bytes: UnsafeRawBufferPointer,
    limits: Limits = .init()
  ) throws(JSONError) -> JSONValue {
    var scanner = JSONScanner(bytes, depth: limits.depth)
    let value = try scanner.value()
    try scanner.end()
    return value
  }

  /// Parses a JSON text strictly by RFC 8259, from bytes in an array.
  ///
  /// - Throws: `JSONError` with the place of the first fault.
  public static func parse(
    _ bytes: [UInt8],
    limits: Limits = .init()
  ) throws(JSONError) -> JSONValue {
    try bytes.span.withUnsafeBytes { bytes throws(JSONError) in try parse(bytes, limits: limits) }
  }
}

extension JSONScanner {
  /// Reads a value as a tree.
  package mutating func value() throws(JSONError) -> JSONValue {
    switch try kind() {
    case .null:
      try null()
      return .null
    case .bool: return .bool(try bool())
    case .number: return .number(try number())
    case .string: return .string(try string())
    case .array:
      var values: [JSONValue] = []
      try beginArray()
      while try nextElement() { values.append(try value()) }
      return .array(values)
    case .object:
      var object = JSONObject()
      try beginObject()
      while let key = try nextKey() {
        guard object.append(key, try value()) else {
          throw secondValue(for: key)
        }
      }
      return .object(object)
    }
  }

  /// Steps over a value that `value` would read, without making a tree of it.
  package mutating func skip() throws(JSONError) {
    switch try kind() {
    case .null: try null()
    case .bool: _ = try bool()
    case .number: _ = try number()
    case .string: _ = try string()
    case .array:
      try beginArray()
      while try nextElement() { try skip() }
    case .object:
      var keys: Set<UTF8Key> = []
      try beginObject()
      while let key = try nextKey() {
        try skip()
        guard keys.insert(UTF8Key(key)).inserted else { throw secondValue(for: key) }
      }
    }
  }

  private func secondValue(for key: String) -> JSONError {
    error("the value that ends here is a second one for the key '\(key)'.")
  }
}
