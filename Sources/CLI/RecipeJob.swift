import Karat

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
  var windows = WindowOptions()
  var threads: Int?
  var memory = MemoryOptions()

  /// The part of the calibration text that is held out where no other text is there to verify on.
  private static let heldOutFraction = 0.2

  func run() throws {
    let terminal = Terminal.standard
    try writer.checkTarget(output, as: form)
    let loaded = try LoadedModel.open(model)
    let text = try calibration.map { try TextFile($0) }
    var pipeline = Pipeline(recipe, progress: terminal.progress)
    pipeline.threads = threads
    pipeline.memory = memory.budget(terminal)
    pipeline.checksIgnored = isRecipeOwn
    pipeline.maximumDrop = maximumDrop ?? pipeline.maximumDrop
    if text == nil, recipe.needsCalibrationText {
      throw DatasetError(
        "the recipe runs the model over text to calibrate, and no text was given. Give one: "
          + "--calibration TEXT."
      )
    }
    var tokens =
      try text.map { try loaded.tokenizer().encode($0.text, addSpecialTokens: false) } ?? []
    if isVerified {
      let heldOut = try heldOut(&tokens, of: loaded)
      pipeline.heldOut = try TokenWindows(
        measuring: heldOut,
        length: windows.window,
        limit: windows.windows,
        name: data ?? calibration ?? "no text"
      ).windows
    }
    pipeline.calibration = tokens
    pipeline.calibrationName = calibration ?? "no text"

    let outcome = try pipeline.run(loaded) { pass, findings in
      terminal.message("After \(pass):\n\(findings.table)")
    }
    if outcome.isComplete {
      try write(outcome, loaded, text, tokens.count)
      terminal.message("Wrote \(output).")
    } else {
      terminal.message("Nothing was written.")
    }
    if let findings = outcome.last {
      terminal.result(findings.table)
      try findings.verdict.end()
    }
  }

  /// The tokens to verify on: of the held-out text, or the end of the calibration text, which is
  /// taken away from it.
  private func heldOut(_ tokens: inout [Int32], of model: LoadedModel) throws -> [Int32] {
    if let data {
      return try model.tokenizer().encode(try TextFile(data).text, addSpecialTokens: false)
    }
    guard calibration != nil else {
      throw DatasetError(
        "no text was given to verify on. Give one: --data TEXT, or 'data' under 'verify' in the "
          + "recipe."
      )
    }
    let kept = Int(Double(tokens.count) * (1 - Self.heldOutFraction))
    defer { tokens.removeSubrange(kept...) }
    return Array(tokens[kept...])
  }

  private func write(
    _ outcome: Pipeline.Outcome,
    _ loaded: LoadedModel,
    _ text: TextFile?,
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
    let notes = try writer.write(outcome.model, from: loaded, record: record, to: output, as: form)
    for note in notes { Terminal.standard.message(note) }
  }
}
