import ArgumentParser
import Foundation
import Karat
import Synchronization

/// A recipe on files: reads the model and texts, follows the recipe, writes the result.
struct RecipeJob {
  let model: String
  let output: String
  let recipe: Recipe
  let command: String
  let form: ModelForm
  let writer: ModelWriter
  var calibration: String?
  var data: String?
  var isVerified = false
  /// Whether the user wrote the recipe, instead of naming a preset.
  var isRecipeOwn = true
  var maximumDrop: Double?
  /// Tokens of one window to verify on, and how many windows there are at most.
  var windows = (length: WindowOptions.defaultLength, limit: Int?.none)
  var threads: Int?
  var memory = MemoryOptions()
  /// Whether what is there already is replaced.
  var isReplacing = false
  /// Where a page about the run goes, or nil for none.
  var report: String?
  /// The model that passes which train learn from, where it is another than the one they start from.
  var teacher: String?

  /// The part of the calibration text that is held out where no other text is there to verify on.
  private static let heldOutFraction = 0.2

  func run() throws {
    let terminal = Terminal.standard
    try writer.checkTarget(output, as: form)
    try checkReport()
    let loaded = try LoadedModel.open(model)
    // A student's config may be of a family that can be written where its teacher's is not.
    if !recipe.passes.contains(where: { $0 is Distil }) { try writer.checkForm(form, of: loaded) }
    let text = try calibration.map { try DataFile($0) }
    var pipeline = Pipeline(recipe, progress: terminal.progress)
    pipeline.threads = threads
    pipeline.memory = memory.budget(terminal)
    if recipe.passes.contains(where: { type(of: $0).trains }) {
      Allocator.keepBuffers()
    }
    pipeline.checksIgnored = isRecipeOwn
    pipeline.maximumDrop = maximumDrop ?? pipeline.maximumDrop
    pipeline.teacher = try teacher.map { try LoadedModel.open($0) }
    if let teacher = pipeline.teacher { _ = try loaded.sharedVocabulary(with: teacher) }
    let states = TrainingFolder(besides: output)
    pipeline.teacherFolder = states.path
    pipeline.archive = states
    pipeline.onTraining = { terminal.show($0, $1, of: $2) }
    let trainings: Mutex<[(place: String, use: TrainingUse)]> = Mutex([])
    pipeline.onTrained = { place, use in
      trainings.withLock { $0.append((place, use)) }
      terminal.message("\(place.drop { $0 != "-" }.dropFirst()): \(use.line)")
    }
    if text == nil, recipe.needsCalibrationText {
      throw DatasetError(
        "the recipe runs the model over text to calibrate, and no text was given. Give one: "
          + "--calibration TEXT."
      )
    }
    pipeline.calibrationName = calibration ?? "no text"
    let tokenCount: Int
    if loaded.isEncoder {
      try giveTexts(to: &pipeline, of: loaded, calibration: text)
      tokenCount = pipeline.calibrationSequences.reduce(0) { $0 + $1.count }
    } else {
      try giveWindows(to: &pipeline, of: loaded, calibration: text)
      tokenCount = pipeline.calibration.count
    }

    let outcome = try pipeline.run(loaded) { pass, findings in
      terminal.message("After \(pass):\n\(findings.table)")
    }
    if outcome.isComplete { try write(outcome, text, tokenCount) }
    if let report {
      let page = RecipeReport(
        recipe,
        model: model,
        outcome: outcome,
        trainings: trainings.withLock(\.self),
        curves: try states.metrics()
      )
      try page.write(to: report, replacing: isReplacing)
      terminal.message("Wrote \(report).")
    }
    if outcome.isComplete {
      try states.remove()
      terminal.message("Wrote \(output).")
    } else {
      terminal.message("Nothing was written.")
    }
    if let findings = outcome.last {
      terminal.result(findings.table)
      try findings.verdict.end()
    }
  }

  /// Checks that the page can be written, before hours of training.
  private func checkReport() throws {
    guard let report else { return }
    func standard(_ path: String) -> String { URL(filePath: path).standardizedFileURL.path }
    let taken = [output, model, calibration, data, teacher].compactMap(\.self).map(standard)
    var isFolder: ObjCBool = false
    let isThere = FileManager.default.fileExists(atPath: report, isDirectory: &isFolder)
    guard !report.isEmpty, !report.hasSuffix("/"), !isFolder.boolValue,
      !taken.contains(standard(report))
    else {
      throw ValidationError(
        "--report names the file of a page of its own, which '\(report)' is not. Name another, such as "
          + "report.html."
      )
    }
    let folder = URL(filePath: report).deletingLastPathComponent().path
    guard FileManager.default.isWritableFile(atPath: folder) else {
      let code = FileManager.default.fileExists(atPath: folder) ? EACCES : ENOENT
      throw FileError(errno: code, folder, .open)
    }
    if !isReplacing, isThere {
      throw CheckpointError(.exists, file: report, "it is there already; --force replaces it.")
    }
  }

  /// What a decoder is calibrated and verified on: windows of one stream of tokens.
  private func giveWindows(
    to pipeline: inout Pipeline,
    of model: LoadedModel,
    calibration: DataFile?
  ) throws {
    var tokens = try calibration.map { try model.tokens(of: $0) } ?? []
    if isVerified {
      let heldOut: [Int32]
      if let data {
        heldOut = try model.tokens(of: try DataFile(data))
      } else {
        heldOut = try takingHeldOut(from: &tokens)
      }
      pipeline.heldOut = try TokenWindows(
        measuring: heldOut,
        length: windows.length,
        limit: windows.limit,
        name: data ?? self.calibration ?? "no text"
      ).windows
    }
    pipeline.calibration = tokens
  }

  /// What an encoder is calibrated and verified on: lines of text, each by itself, or pairs.
  private func giveTexts(
    to pipeline: inout Pipeline,
    of model: LoadedModel,
    calibration: DataFile?
  ) throws {
    var texts = try calibration.map { try model.sequences(of: $0) } ?? []
    if isVerified {
      if let data {
        pipeline.heldOutTexts = try model.embeddingTexts(of: data)
      } else {
        pipeline.heldOutTexts = EmbeddingTexts(try takingHeldOut(from: &texts))
      }
    }
    pipeline.calibrationSequences = texts
  }

  /// The end of the calibration text, which is taken away from it.
  private func takingHeldOut<Element>(from text: inout [Element]) throws -> [Element] {
    guard calibration != nil else {
      throw DatasetError(
        "no text was given to verify on. Give one: --data TEXT, or 'data' under 'verify' in the "
          + "recipe."
      )
    }
    let kept = Int(Double(text.count) * (1 - Self.heldOutFraction))
    defer { text.removeSubrange(kept...) }
    return Array(text[kept...])
  }

  private func write(
    _ outcome: Pipeline.Outcome,
    _ text: DataFile?,
    _ tokenCount: Int
  ) throws {
    var record = ModelRecord(command: command, recipe: recipe.json)
    record.verification = outcome.records
    if let text {
      var object = JSONObject()
      object["sha256"] = .string(text.digest.description)
      object["tokens"] = .number(JSONNumber(tokenCount))
      let routers = outcome.model.calibration?.routers ?? []
      if !routers.isEmpty { object["routers"] = .array(routers.map(\.json)) }
      record.calibration = .object(object)
      for router in routers where !router.unused.isEmpty {
        Terminal.standard.message(
          "The calibration text reached \(router.counts.count - router.unused.count) of the "
            + "\(router.counts.count) experts of \(router.router), not "
            + router.unused.map(String.init).joined(separator: ", ")
            + "; those are quantized as their peers are."
        )
      }
    }
    if !outcome.students.isEmpty { record.students = outcome.students.map(\.json) }
    for line in outcome.students.flatMap(\.lines) { Terminal.standard.message(line) }
    let notes = try writer.write(
      outcome.model,
      from: outcome.owner,
      record: record,
      to: output,
      as: form
    )
    for note in notes { Terminal.standard.message(note) }
  }
}

/// Options of the commands that make a model by a recipe.
struct JobOptions: ParsableArguments {
  @Option(
    help: "Write a page about the run: what was trained, step by step, and what the verifier found."
  )
  var report: String?

  @OptionGroup var form: FormOptions
  @OptionGroup var windows: WindowOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var resources: RunOptions
  @OptionGroup var memory: MemoryOptions

  /// Checks that an output can be written, and says what its tensors mean.
  func check(_ output: String) throws {
    let form = try form.form(of: output)
    try self.output.checkShards(of: output, as: form)
    guard form != .safetensors else {
      throw ValidationError(
        "'\(output)' would hold the tensors alone, and nothing would say what they mean. Name a folder "
          + "or a .kcf file."
      )
    }
  }

  /// The job of a command, with what these options say.
  func job(_ command: String, _ recipe: Recipe, model: String, output: String) throws -> RecipeJob {
    var job = RecipeJob(
      model: model,
      output: output,
      recipe: recipe,
      command: command,
      form: try form.form(of: output),
      writer: self.output.writer
    )
    job.windows = (windows.window, windows.windows)
    job.threads = resources.threads
    job.memory = memory
    (job.report, job.isReplacing) = (report, self.output.force)
    return job
  }
}
