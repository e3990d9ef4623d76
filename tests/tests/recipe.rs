//! A recipe opened in the window: step by step, with the same maps and subsets as without one.

use asterism_session::{Command, Session, Settings};

use crate::drive::{home, until, window};

const RECIPE: &str = r#"asterism = 1

[[search]]
name = "stars"
service = "sample:ogle3"
max_rows = 1200

[[features]]
name = "light"
of = "stars"
columns = ["i_mag", "v_i", "period"]
transforms = { period = "log" }
scale = "robust"

[[map]]
name = "kinds"
of = "light"
method = "pca"

[[cluster]]
name = "group"
of = "kinds"
method = "kmeans"
k = 3

[[select]]
name = "cepheids"
of = "stars"
where = "class = 'Cep'"

[[refine]]
name = "rule"
of = "cepheids"
columns = ["i_mag", "period"]

[[export]]
of = "cepheids"
to = ["cepheids.csv", "cepheids.vot"]
"#;

#[test]
fn a_recipe_opens_in_the_window_and_makes_what_it_makes_without_one() {
    let home = home();
    let file = home.join("stars.toml");
    std::fs::write(&file, RECIPE).expect("a recipe");
    let mut harness = window(&[file.to_str().expect("a path in UTF-8")]);
    until(&mut harness, "the recipe's end", |w| {
        let session = &w.state().session;
        session.playing().is_none() && !session.busy() && session.doc().dataset().is_some_and(|d| d.rule.is_some())
    });
    let shown = harness.state().session.doc().clone();
    let shown = shown.dataset().expect("a table");
    let out = home.join("out");
    let ran = asterism_session::run::run(&file, &out, Settings::default(), &mut |_| {}).expect("it runs");
    let made = ran.session.doc().dataset().expect("a table");
    let names = |d: &asterism_session::Dataset| d.subsets.iter().map(|s| (s.name.clone(), s.rows.count())).collect::<Vec<_>>();
    assert_eq!(names(shown), names(made));
    assert_eq!(names(shown).len(), 4, "three groups and the Cepheids: {:?}", names(shown));
    assert_eq!(shown.map().expect("a map").xy, made.map().expect("a map").xy);
    assert_eq!(shown.rule.as_ref().map(|r| r.sql()), made.rule.as_ref().map(|r| r.sql()));
    // Only without a window are its exports written; the window says so.
    assert!(out.join("cepheids.vot").exists() && !home.join("cepheids.vot").exists());
    let said: Vec<_> = harness.state().session.notices().iter().map(|n| n.text.clone()).collect();
    assert!(said.iter().any(|t| t.contains("2 files") && t.contains("Take")), "{said:?}");
}

#[test]
fn a_recipe_that_fails_keeps_what_it_made() {
    let home = home();
    let mut session = Session::new(Settings::default());
    let mut open = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::write(&path, text).expect("a recipe");
        let outcome = session.apply(Command::OpenRecipe { path }).and_then(|()| session.wait(&mut |_| {}));
        (outcome, session.notices().last().map(|n| n.text.clone()).unwrap_or_default(), session.doc().datasets.len())
    };
    // A wrong word: nothing is begun.
    let (outcome, said, tables) = open("wrong.toml", &RECIPE.replace("kmeans", "kmean"));
    assert!(outcome.is_err() && said.contains("wrong.toml") && said.contains("line 23") && tables == 0, "{said}");
    // A column that is not there: the table stays.
    let (_, said, tables) = open("column.toml", &RECIPE.replace("\"v_i\"", "\"v_j\""));
    assert!(tables == 1 && said.contains("what it made so far is here"), "{said}");
    // Ended by the person.
    let path = home.join("stop.toml");
    std::fs::write(&path, RECIPE.replace("max_rows = 1200\n", "")).expect("a recipe");
    session.apply(Command::OpenRecipe { path }).expect("it begins");
    session.poll();
    assert!(session.playing().is_some());
    session.apply(Command::StopRecipe).expect("it ends");
    // What its jobs were ended with is no failure of the next command.
    let _ = session.wait(&mut |_| {});
    assert!(session.playing().is_none() && session.notices().iter().any(|n| n.text.contains("was left")));
}
