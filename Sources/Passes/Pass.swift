public import KaratBytes
public import KaratEngine
public import KaratGraphs
public import KaratTensors

/// A step that takes a model and gives a changed one; its options are its own stored properties.
///
/// Passes know graphs and tensors, no file format and no architecture. A new pass is a file and a
/// line in `allPasses`.
public protocol Pass: Codable, Sendable, Hashable {
  /// The name in recipes and on the command line, in kebab-case.
  static var name: String { get }
  /// One sentence on what it does.
  static var summary: String { get }
  /// The names of its options, in kebab-case.
  static var optionNames: [String] { get }

  /// Whether it runs the model over calibration text.
  static var needsCalibrationText: Bool { get }
  /// Whether it trains, and keeps states.
  static var trains: Bool { get }
  /// Whether the model computes something else after it, so that it is worth verifying.
  static var changesOutputs: Bool { get }

  /// All options at their defaults.
  init()

  /// Gives the changed model; the work on tensors may wait until they are pulled.
  ///
  /// - Throws: `PassError` where the model or the data do not allow it, and what running the model
  ///   throws.
  func apply(to model: Model, in context: PassContext) throws -> Model
}

extension Pass {
  /// No calibration text is needed unless the pass says so.
  public static var needsCalibrationText: Bool { false }
  /// Nothing is trained unless the pass says so.
  public static var trains: Bool { false }
  /// The model computes something else unless the pass says that it does not.
  public static var changesOutputs: Bool { true }
}

/// The passes that recipes can name.
public let allPasses: [any Pass.Type] = [
  SmoothQuant.self, Calibrate.self, QuantizeWeights.self, QuantizeActivations.self,
  QuantizationAwareTraining.self, Distil.self,
]

/// What passes are given beside the model.
public struct PassContext: Sendable {
  /// The tokens of the calibration text, or empty where there is none.
  public var calibrationTokens: [Int32]
  /// The calibration texts of an encoder, each with its special tokens; empty for decoders.
  public var calibrationSequences: [[Int32]]
  /// What the calibration text is called in messages.
  public var calibrationName: String
  /// How many tokens the model was made for at most, or nil where it does not say.
  public var maximumLength: Int?
  /// Linear layers that stay as they are.
  public var ignored: LayerFilter
  /// How many threads to run on, or nil for one on each core.
  public var threads: Int?
  /// How much memory running the model may take, or nil for as much as it needs.
  public var memory: MemoryBudget?
  /// Where the passes say how far they are.
  public var progress: ProgressReporter
  /// The model that the recipe began with: what passes that train learn from.
  public var reference: Model?
  /// Makes a student of the model at hand, which only who knows the model's family can.
  public var makeStudent: @Sendable (StudentRequest) throws -> MadeStudent = { _ in
    throw PassError(Distil.name, "nobody can make a student here.")
  }
  /// Stores a teacher's most likely tokens for windows, so many for each place, and gives those of a
  /// window by its number; nil where nothing can be stored.
  public var storeTeacher:
    (@Sendable (_ windows: [[Int32]], _ count: Int) throws -> @Sendable (Int) throws -> TopTokens)?
  /// What the pass begins with, beside its own options and the text: training goes on from a state only
  /// where it is the same.
  public var origin: [String: String] = [:]
  /// Decides what passes draw at random.
  public var seed: UInt64 = 0
  /// Where passes that train keep their states, or nil for nowhere.
  public var archive: (any TrainingArchive)?
  /// Is called after each step of training, with the pass's name and how many steps there are.
  public var onTraining: @Sendable (String, TrainingMetrics, Int) -> Void = { _, _, _ in }

  /// Is called with what a pass's training took of the machine, when it is done.
  public var onTrained: @Sendable (String, TrainingUse) -> Void = { _, _ in }

  /// Gathers what passes need.
  public init(
    calibrationTokens: [Int32] = [],
    calibrationSequences: [[Int32]] = [],
    calibrationName: String = "no text",
    maximumLength: Int? = nil,
    ignored: LayerFilter = LayerFilter(),
    threads: Int? = nil,
    memory: MemoryBudget? = nil,
    progress: ProgressReporter = .silent
  ) {
    self.calibrationTokens = calibrationTokens
    self.calibrationSequences = calibrationSequences
    self.calibrationName = calibrationName
    self.maximumLength = maximumLength
    self.ignored = ignored
    self.threads = threads
    self.memory = memory
    self.progress = progress
  }
}

extension PassContext {
  /// The linear layers of a graph that passes work on: those that are neither ignored nor routers
  /// of experts.
  func layers(of graph: Graph) -> [LinearLayer] {
    graph.linearLayers.filter { !$0.isRouter && !ignored.contains($0.path) }
  }
}

/// Why a pass cannot do its work.
public struct PassError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The pass's name.
  public let pass: String
  /// Where, what is, what was needed, and what to do.
  public let message: String

  package init(_ pass: String, _ message: String) {
    self.pass = pass
    self.message = message
  }

  /// The message behind the pass's name.
  public var description: String { "\(pass): \(message)" }
}
