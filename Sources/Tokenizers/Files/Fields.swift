import KaratBytes

/// The members of one JSON object of a tokenizer file, read with errors that name the place.
struct Fields {
  let file: String
  let path: String
  let object: JSONObject

  init(_ value: JSONValue, path: String, file: String) throws(TokenizerError) {
    guard let object = value.object else {
      throw TokenizerError(
        file: file,
        place: path,
        message: "\(value.kind); an object is needed."
      )
    }
    self.file = file
    self.path = path
    self.object = object
  }

  /// The path of a member.
  func place(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  /// A fault at a member, or at the object itself.
  func error(at key: String? = nil, _ message: String) -> TokenizerError {
    TokenizerError(file: file, place: key.map(place) ?? path, message: message)
  }

  /// A member that is there and not null.
  func optional(_ key: String) -> JSONValue? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  func required(_ key: String) throws(TokenizerError) -> JSONValue {
    guard let value = optional(key) else {
      throw error("holds no '\(key)', which is needed here.")
    }
    return value
  }

  func optionalString(_ key: String) throws(TokenizerError) -> String? {
    guard let value = optional(key) else { return nil }
    guard let string = value.string else { throw needed("a string", key, value) }
    return string
  }

  func string(_ key: String) throws(TokenizerError) -> String {
    let value = try required(key)
    guard let string = value.string else { throw needed("a string", key, value) }
    return string
  }

  func bool(_ key: String, default fallback: Bool? = nil) throws(TokenizerError) -> Bool {
    if let fallback, optional(key) == nil { return fallback }
    let value = try required(key)
    guard let bool = value.bool else { throw needed("true or false", key, value) }
    return bool
  }

  func int(_ key: String, default fallback: Int? = nil) throws(TokenizerError) -> Int {
    if let fallback, optional(key) == nil { return fallback }
    let value = try required(key)
    guard let int = value.int else { throw needed("a whole number", key, value) }
    return int
  }

  /// A whole number that counts something, such as characters to cut.
  func count(_ key: String, default fallback: Int? = nil) throws(TokenizerError) -> Int {
    let count = try int(key, default: fallback)
    guard count >= 0 else { throw error(at: key, "\(count); a number from 0 is needed.") }
    return count
  }

  func scalar(_ key: String, default fallback: Unicode.Scalar? = nil)
    throws(TokenizerError) -> Unicode.Scalar
  {
    if let fallback, optional(key) == nil { return fallback }
    let text = try string(key)
    guard let scalar = text.unicodeScalars.first, text.unicodeScalars.count == 1 else {
      throw error(
        at: key,
        "\(text.unicodeScalars.count) characters; exactly one is needed."
      )
    }
    return scalar
  }

  func array(_ key: String) throws(TokenizerError) -> [JSONValue] {
    let value = try required(key)
    guard let array = value.array else { throw needed("an array", key, value) }
    return array
  }

  func fields(_ key: String) throws(TokenizerError) -> Fields {
    try Fields(try required(key), path: place(key), file: file)
  }

  func optionalFields(_ key: String) throws(TokenizerError) -> Fields? {
    guard let value = optional(key) else { return nil }
    return try Fields(value, path: place(key), file: file)
  }

  /// The objects of a member that is an array of them.
  func list(_ key: String) throws(TokenizerError) -> [Fields] {
    var list: [Fields] = []
    for (index, value) in try array(key).enumerated() {
      list.append(try Fields(value, path: "\(place(key))[\(index)]", file: file))
    }
    return list
  }

  /// The component's name, for choosing among the known ones.
  func type() throws(TokenizerError) -> String { try string("type") }

  /// What to say of a component type that is not among the known ones.
  func unknownType(_ type: String, known: [String]) -> TokenizerError {
    error(at: "type", "'\(type)' is not supported; known here: \(known.joined(separator: ", ")).")
  }

  private func needed(_ kind: String, _ key: String, _ value: JSONValue) -> TokenizerError {
    error(at: key, "\(value.kind); \(kind) is needed.")
  }
}
