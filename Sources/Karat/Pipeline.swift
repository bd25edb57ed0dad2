public import KaratBytes
public import KaratEngine
public import KaratGraphs
public import KaratModels
public import KaratPasses
import KaratTensors
public import KaratVerification

/// Follows a recipe: applies its passes to a model in order, and verifies after each that changes
/// what the model computes.
public struct Pipeline: Sendable {
  /// The passes and what they leave alone.
  public var recipe: Recipe
  /// The tokens of the calibration text.
  public var calibration: [Int32]
  /// The calibration texts of an encoder, each with its special tokens.
  public var calibrationSequences: [[Int32]] = []
  /// What the calibration text is called in messages.
  public var calibrationName: String
  /// Windows of held-out text, or none where nothing is to be verified.
  public var heldOut: [[Int32]]
  /// Held-out texts on which encoders are verified.
  public var heldOutTexts: EmbeddingTexts?
  /// The most that the perplexity may rise, as a fraction; for encoders see `Verifier`.
  public var maximumDrop: Double
  /// Whether each pattern of layers to ignore must name a layer; presets name some that not every
  /// model has.
  public var checksIgnored = false
  /// How many threads to run on, or nil for one on each core.
  public var threads: Int?
  /// How much memory running models may take, or nil for as much as they need.
  public var memory: MemoryBudget?
  /// What passes that train learn from, or nil for the model that they start from.
  public var teacher: LoadedModel?
  /// Where teachers' most likely tokens are stored, or nil for nowhere.
  public var teacherFolder: String?
  /// Where passes that train keep their states, or nil for nowhere.
  public var archive: (any TrainingArchive)?
  /// Is called after each step of training, with the pass's name and how many steps there are.
  public var onTraining: @Sendable (String, TrainingMetrics, Int) -> Void = { _, _, _ in }
  /// Is called with what a pass's training took of the machine, when it is done, and the pass's place and
  /// name, such as `2-distil`.
  public var onTrained: @Sendable (_ pass: String, TrainingUse) -> Void = { _, _ in }
  /// Where the work says how far it is.
  public var progress: ProgressReporter

  /// Prepares to follow a recipe without verifying.
  public init(_ recipe: Recipe, progress: ProgressReporter = .silent) {
    self.recipe = recipe
    self.progress = progress
    calibration = []
    calibrationName = "no text"
    heldOut = []
    maximumDrop = recipe.verification?.maximumDrop ?? Verifier.defaultMaximumDrop
  }

  /// What came out of a recipe.
  public struct Outcome: Sendable {
    /// The model after the last pass that was applied.
    public let model: Model
    /// What the verifier found after each pass that it looked at.
    public let findings: [(pass: String, findings: any VerificationReport)]
    /// Whether every pass was applied: a recipe stops at the first whose result fails.
    public let isComplete: Bool
    /// Whose config and companions belong to the model: those of the model that the recipe began
    /// with, or of a student that it made.
    public let owner: LoadedModel
    /// How students came about that the recipe made.
    public let students: [StudentReport]

    /// What the verifier found at the end, where it looked.
    public var last: (any VerificationReport)? { findings.last?.findings }

    /// The findings as a record carries them.
    public var records: [JSONValue] {
      findings.map { pass, findings in
        var object = JSONObject()
        object["after"] = .string(pass)
        for (key, value) in findings.json.object?.members ?? [] { object[key] = value }
        return .object(object)
      }
    }
  }

  /// Applies the passes.
  ///
  /// - Parameters:
  ///   - model: what they start from; it is not changed.
  ///   - show: is called with what the verifier found after a pass.
  /// - Returns: the model after the last pass applied, and what was found after each.
  /// - Throws: what the passes, and running the models, throw.
  public func run(
    _ model: LoadedModel,
    _ show: (_ pass: String, any VerificationReport) -> Void = { _, _ in }
  ) throws -> Outcome {
    for pass in recipe.passes { try pass.checkNumbers() }
    try model.model.graph.checkTokens(heldOut + (heldOutTexts?.texts ?? []))
    let ignored = try LayerFilter(recipe.ignored)
    if checksIgnored { try ignored.check(against: model.model.graph) }
    var context = PassContext(
      calibrationTokens: calibration,
      calibrationSequences: calibrationSequences,
      calibrationName: calibrationName,
      maximumLength: model.maximumLength,
      ignored: ignored,
      threads: threads,
      memory: memory,
      progress: progress
    )
    var tutor = teacher ?? model
    context.reference = tutor.model
    context.seed = recipe.seed
    context.onTraining = onTraining
    let origin = try origin(of: model)
    // Two models run side by side when one is verified.
    let half = memory?.divided(by: 2)
    var owner = model
    var students: [StudentReport] = []
    var reference = Executor(model.model, threads: threads, memory: half)
    var referenceBytes = model.byteCount
    var current = model.model
    var found: [(pass: String, findings: any VerificationReport)] = []
    for (index, pass) in recipe.passes.enumerated() {
      let name = type(of: pass).name
      let place = "\(index + 1)-\(name)"
      context.archive = archive?.part(place)
      context.onTrained = { [onTrained] in onTrained(place, $1) }
      context.origin = try origin.before(index, of: recipe)
      owner.model = current
      let maker = StudentMaker(of: owner)
      context.makeStudent = { [heldOutTexts, owner] request in
        let made = try maker.make(request)
        if let lengths = owner.model.vectorLength.flatMap({ whole in
          made.model.vectorLength.map { (whole, $0) }
        }) {
          try heldOutTexts?.check(lengths: lengths)
        }
        return made
      }
      context.storeTeacher = teacherStore(of: pass is Distil ? owner : tutor, for: place)
      current = try pass.apply(to: current, in: context)
      if let student = maker.made {
        owner = student.model
        students.append(student.report)
        (tutor, tutor.model) = (owner, current)
        context.reference = current
      }
      if index == recipe.passes.count - 1 { try current.graph.checkActivations() }
      guard !heldOut.isEmpty || heldOutTexts != nil, type(of: pass).changesOutputs else { continue }
      let subjects = (
        Verifier.Subject(reference, byteCount: referenceBytes),
        Verifier.Subject(
          Executor(current, threads: threads, memory: half),
          byteCount: current.source.manifest.totalBytes
        )
      )
      // A student is smaller on purpose: what that cost is shown, and gates nothing.
      let verifier = Verifier(
        maximumDrop: maker.made == nil ? maximumDrop : .infinity,
        progress: progress
      )
      let findings: any VerificationReport
      if let heldOutTexts {
        findings = try verifier.compareEmbeddings(subjects.0, subjects.1, heldOutTexts)
      } else {
        findings = try verifier.compare(subjects.0, subjects.1, windows: heldOut)
      }
      found.append((name, findings))
      show(name, findings)
      if maker.made != nil {
        // A student is judged by itself; what follows is judged by what it does to the student.
        reference = Executor(current, threads: threads, memory: half)
        referenceBytes = current.source.manifest.totalBytes
        continue
      }
      if findings.verdict == .fail {
        return Outcome(
          model: current,
          findings: found,
          isComplete: false,
          owner: owner,
          students: students
        )
      }
    }
    return Outcome(
      model: current,
      findings: found,
      isComplete: true,
      owner: owner,
      students: students
    )
  }

  /// What tells the models of this run from others, where training keeps states.
  private func origin(of model: LoadedModel) throws -> TrainingOrigin {
    guard archive != nil, recipe.passes.contains(where: { type(of: $0).trains }) else {
      return TrainingOrigin()
    }
    return try TrainingOrigin(model, teacher: teacher, threads: threads, progress: progress)
  }

  /// Stores what a teacher says, in a file for each pass.
  private func teacherStore(
    of teacher: LoadedModel,
    for pass: String
  ) -> (@Sendable ([[Int32]], Int) throws -> @Sendable (Int) throws -> TopTokens)? {
    guard let teacherFolder else { return nil }
    return { [threads, memory, progress] windows, count in
      let store = try teacher.teacherStore(
        Folder.join(try Folder.made(teacherFolder), "teacher-\(pass).safetensors"),
        windows: windows,
        k: count,
        threads: threads,
        memory: memory,
        progress: progress
      )
      return { try store.window($0).top }
    }
  }
}

extension Model {
  /// How long the vectors of an encoder are.
  fileprivate var vectorLength: Int? {
    graph.named["sentence_embedding"].flatMap { graph.type(of: $0).features }
  }
}
