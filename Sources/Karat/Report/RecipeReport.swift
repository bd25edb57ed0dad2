public import KaratBytes
public import KaratEngine
import KaratPasses

/// A page about what became of a recipe: its passes, the curves of what was trained, and what the
/// verifier found after each pass; one HTML file that needs no other.
public struct RecipeReport {
  private let recipe: Recipe
  private let model: String
  private let trainings: [(place: String, use: TrainingUse)]
  private let curves: [(part: String, steps: [JSONObject])]
  private let outcome: Pipeline.Outcome

  /// Gathers what the page shows.
  ///
  /// - Parameters:
  ///   - recipe: what was followed.
  ///   - model: what it began with.
  ///   - outcome: what came out of it.
  ///   - trainings: what passes that train took of the machine, by place and name, such as `2-distil`.
  ///   - curves: the metrics of their steps, part by part, as `TrainingFolder.metrics()` gives them.
  public init(
    _ recipe: Recipe,
    model: String,
    outcome: Pipeline.Outcome,
    trainings: [(place: String, use: TrainingUse)],
    curves: [(part: String, steps: [JSONObject])]
  ) {
    self.recipe = recipe
    self.model = model
    self.outcome = outcome
    self.trainings = trainings
    self.curves = curves
  }

  /// Writes the page.
  ///
  /// - Throws: `FileError` where the file is there and may not be replaced, or cannot be written.
  public func write(to path: String, replacing: Bool) throws(FileError) {
    var file = try AtomicFile(path, replacing: replacing)
    try file.write(Array(html.utf8))
    try file.commit()
  }

  /// The page.
  public var html: String {
    var parts = ["<h1>\(model.escapedForHTML)</h1>", section("Recipe", pre(recipeText))]
    for student in outcome.students {
      parts.append(section("Student", pre(student.lines.joined(separator: "\n"))))
    }
    for (pass, steps) in trainedPasses {
      let use = trainings.filter { $0.place == pass }.map { $0.use.line }.joined()
      parts.append(
        section(
          "Training: \(pass)",
          Self.charts(of: steps) + "<p>\(use.escapedForHTML)</p>"
        )
      )
    }
    for (pass, findings) in outcome.findings {
      parts.append(section("After \(pass)", pre(findings.table)))
    }
    return """
      <!doctype html>
      <html lang="en">
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <title>Karat: \(model.escapedForHTML)</title>
      <style>\(Self.style)</style>
      \(parts.joined(separator: "\n"))
      </html>

      """
  }

  /// The steps of each pass that trained, one part such as a block behind the other.
  private var trainedPasses: [(pass: String, steps: [JSONObject])] {
    var passes: [(pass: String, steps: [JSONObject])] = []
    for (part, steps) in curves where !steps.isEmpty {
      let pass = String(part.prefix { $0 != "/" })
      if passes.last?.pass == pass {
        passes[passes.count - 1].steps += steps
      } else {
        passes.append((pass, steps))
      }
    }
    return passes
  }

  /// The curves of every number that steps tell, but for how long they took.
  private static func charts(of steps: [JSONObject]) -> String {
    let hidden: Set<String> = ["step", "seconds", "tokens", "skipped"]
    var names: [String] = []
    for name in steps.flatMap({ $0.members.map(\.key) })
    where !hidden.contains(name) && !names.contains(name) {
      names.append(name)
    }
    return names.map { name in
      LineChart(name.replacing("_", with: " "), steps.map { $0[name]?.double }).svg
    }.joined(separator: "\n")
  }

  private var recipeText: String {
    String(decoding: recipe.json.serialized(indent: 2), as: UTF8.self)
  }

  private func section(_ title: String, _ body: String) -> String {
    "<section><h2>\(title.escapedForHTML)</h2>\n\(body)</section>"
  }

  private func pre(_ text: String) -> String { "<pre>\(text.escapedForHTML)</pre>" }

  private static let style = """
    :root { color-scheme: light dark; --line: #2563eb; }
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
    h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
    pre { overflow-x: auto; padding: 0.75rem; background: color-mix(in srgb, currentColor 6%, transparent) }
    svg { width: 100%; height: auto; margin-bottom: 0.5rem }
    .line { fill: none; stroke: var(--line); stroke-width: 1.5 }
    .grid { stroke: currentColor; stroke-opacity: 0.15 }
    .mark, .title { fill: currentColor; font: 11px system-ui, sans-serif } .title { font-size: 13px }
    """
}
