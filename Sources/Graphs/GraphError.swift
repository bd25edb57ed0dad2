public import KaratTensors

/// Why a graph cannot be: values that do not fit an operation, or parameters that do not fit it.
public struct GraphError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The module in which it happened, in the checkpoint's spelling.
  public var path: TensorName
  /// What is, what was needed, and what to do.
  public let message: String

  /// Describes a fault in a graph.
  public init(path: TensorName = "", _ message: String) {
    self.path = path
    self.message = message
  }

  /// The message behind the module's name.
  public var description: String {
    path.text.isEmpty ? message : "\(path.quoted): \(message)"
  }
}
