/// Why a tokenizer could not be read: where, what is there, what was needed.
public struct TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The file, as the caller named it.
  public let file: String
  /// The place inside the file as a path of JSON members, such as `model.merges[3]`; empty for all.
  public let place: String
  /// What was found and what was needed.
  public let message: String

  /// Describes a fault at a place of a file.
  package init(file: String, place: String, message: String) {
    self.file = file
    self.place = place
    self.message = message
  }

  /// The file, the place and the message.
  public var description: String {
    place.isEmpty ? "\(file): \(message)" : "\(file), '\(place)': \(message)"
  }
}
