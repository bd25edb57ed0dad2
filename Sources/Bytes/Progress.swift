/// Where long work says how far it is.
///
/// The library reports; whoever called it decides what to show.
public struct ProgressReporter: Sendable {
  /// How far some work is.
  public struct Step: Sendable {
    /// What is being done, such as `calibrate`.
    public let task: String
    /// How many units are done.
    public let done: Int
    /// How many there are.
    public let total: Int
    /// What is counted, in the plural: `tensors`, `tokens`, `layers`.
    public let unit: String

    /// States how far some work is.
    public init(task: String, done: Int, total: Int, unit: String) {
      self.task = task
      self.done = done
      self.total = total
      self.unit = unit
    }
  }

  private let receive: @Sendable (Step) -> Void

  /// Hands every step to a closure, which may be called from any thread.
  public init(_ receive: @escaping @Sendable (Step) -> Void) {
    self.receive = receive
  }

  /// Shows nothing.
  public static let silent = ProgressReporter { _ in }

  /// Says how far some work is.
  public func report(_ task: String, _ done: Int, of total: Int, _ unit: String) {
    receive(Step(task: task, done: done, total: total, unit: unit))
  }
}
