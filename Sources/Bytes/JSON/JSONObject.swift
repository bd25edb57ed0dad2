/// The members of a JSON object in their own order, found by the UTF-8 bytes of their names.
public struct JSONObject: Sendable, ExpressibleByDictionaryLiteral {
  /// The members in the order in which they were written or added.
  public private(set) var members: [(key: String, value: JSONValue)] = []

  // Few members are searched in a row; the table is made when there are more than `rowLimit`.
  private var places: [UTF8Key: Int] = [:]
  private static let rowLimit = 8

  /// Makes an object with no members.
  public init() {}

  /// Makes an object with its members in this order.
  ///
  /// - Precondition: no key is there twice.
  public init(dictionaryLiteral members: (String, JSONValue)...) {
    for (key, value) in members {
      let isNew = append(key, value)
      precondition(isNew, "the key '\(key)' is there twice")
    }
  }

  /// How many members there are.
  public var count: Int { members.count }

  /// A member's value, or nil where there is none of that name.
  ///
  /// Setting replaces a member in its place or appends a new one; setting nil removes it.
  public subscript(_ key: String) -> JSONValue? {
    get { place(of: UTF8Key(key)).map { members[$0].value } }
    set {
      switch (place(of: UTF8Key(key)), newValue) {
      case (let place?, let value?):
        members[place].value = value
      case (let place?, nil):
        members.remove(at: place)
        places = [:]
        indexMembers()
      case (nil, let value?):
        append(key, value)
      case (nil, nil):
        break
      }
    }
  }

  /// Appends a member.
  ///
  /// - Returns: false, and changes nothing, where there is one of that name already.
  @discardableResult
  mutating func append(_ key: String, _ value: JSONValue) -> Bool {
    let place = members.count
    if place < Self.rowLimit {
      guard self.place(of: UTF8Key(key)) == nil else { return false }
    } else {
      if place == Self.rowLimit { indexMembers() }
      let earlier = places.updateValue(place, forKey: UTF8Key(key))
      if let earlier {
        places[UTF8Key(key)] = earlier
        return false
      }
    }
    members.append((key, value))
    return true
  }

  private func place(of key: UTF8Key) -> Int? {
    guard places.isEmpty else { return places[key] }
    return members.firstIndex { UTF8Key($0.key) == key }
  }

  private mutating func indexMembers() {
    guard members.count >= Self.rowLimit else { return }
    for (place, member) in members.enumerated() { places[UTF8Key(member.key)] = place }
  }
}

extension JSONObject: Hashable {
  /// Whether the objects have the same members, whatever their order.
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.count == right.count && left.members.allSatisfy { right[$0.key] == $0.value }
  }

  /// Hashes the names and values, whatever their order.
  public func hash(into hasher: inout Hasher) {
    var sum = 0
    for member in members {
      var memberHasher = Hasher()
      memberHasher.combine(UTF8Key(member.key))
      memberHasher.combine(member.value)
      sum ^= memberHasher.finalize()
    }
    hasher.combine(sum)
  }
}
